//! What a crash leaves of the content of files.

use super::*;

#[tokio::test]
async fn content_is_durable_after_a_sync_and_not_before() {
    let disk = CrashDisk::new();
    let file = durable(&disk, "f", b"old").await;
    put(&*file, 0, b"newer").await;
    let before = |survival| disk.fork().crash(survival);
    assert_eq!(content(&before(Survival::Nothing), "f").await.unwrap(), "old");
    assert_eq!(content(&before(Survival::Everything), "f").await.unwrap(), "newer");
    file.sync().await.unwrap();
    assert_eq!(outcomes(&disk, "f").await.len(), 1);
    assert_eq!(content(&disk.crash(Survival::Nothing), "f").await.unwrap(), "newer");
}

#[tokio::test]
async fn a_killed_process_leaves_the_cache_which_is_not_durable() {
    let disk = CrashDisk::new();
    let file = durable(&disk, "f", b"old").await;
    put(&*file, 0, b"new").await;
    let disk = disk.kill();
    assert_eq!(content(&disk, "f").await.unwrap(), "new");
    assert_eq!(content(&disk.crash(Survival::Nothing), "f").await.unwrap(), "old");
}

#[tokio::test]
async fn handles_of_an_earlier_process_fail() {
    for end in [|disk: &CrashDisk| disk.kill(), |disk: &CrashDisk| disk.crash(Survival::Everything)] {
        let disk = CrashDisk::new();
        let file = durable(&disk, "f", b"x").await;
        let after = end(&disk);
        let error = file.read_at(0, 1).await.unwrap_err();
        assert_eq!(error.to_string(), "read f: the power is lost");
        assert!(file.write_at(0, Bytes::from_static(b"y")).await.is_err());
        assert!(disk.metadata(at("f")).await.is_err());
        assert_eq!(content(&after, "f").await.unwrap(), "x");
    }
}

#[tokio::test]
async fn each_piece_is_as_it_was_at_some_moment() {
    let disk = CrashDisk::new();
    let file = durable(&disk, "f", &[0; 8192]).await;
    for fill in 1..=3 {
        file.write_at(0, vec![fill; 8192].into()).await.unwrap();
    }
    let outcomes = outcomes(&disk, "f").await;
    let mut torn = 0;
    for found in outcomes.keys() {
        let found = found.as_ref().unwrap();
        assert_eq!(found.len(), 8192);
        let pure = |piece: &[u8]| piece[0] <= 3 && piece.iter().all(|byte| *byte == piece[0]);
        assert!(found.chunks(512).all(pure), "a piece mixes two moments");
        torn += usize::from(!pure(found));
    }
    assert!(torn > 10, "writes are torn: {torn} of {}", outcomes.len());
}

/// What lies in one piece does not change places.
#[tokio::test]
async fn a_piece_keeps_the_order_of_its_changes() {
    let disk = CrashDisk::new();
    let file = durable(&disk, "f", &[0; 512]).await;
    put(&*file, 0, b"1").await;
    put(&*file, 100, b"2").await;
    for (found, _) in outcomes(&disk, "f").await {
        let found = found.unwrap();
        assert!(found[100] == 0 || found[0] == b'1', "the second survived without the first");
    }
}

#[tokio::test]
async fn pieces_change_places() {
    let disk = CrashDisk::new();
    let file = durable(&disk, "f", &[0; 8192]).await;
    put(&*file, 0, b"1").await;
    put(&*file, 4096, b"2").await;
    let outcomes = outcomes(&disk, "f").await;
    let pairs: Vec<_> = outcomes.keys().flatten().map(|found| (found[0], found[4096])).collect();
    assert!(pairs.contains(&(0, b'2')) && pairs.contains(&(b'1', 0)), "{pairs:?}");
}

#[tokio::test]
async fn length_and_mtime_go_together_and_holes_are_zeros() {
    let disk = CrashDisk::new();
    disk.set_time_ns(5);
    let file = durable(&disk, "f", b"old").await;
    disk.set_time_ns(7);
    put(&*file, 3000, b"end").await;
    let mut lens = std::collections::BTreeSet::new();
    for seed in 0..SEEDS {
        let crashed = disk.fork().crash(Survival::Mixture(seed));
        let found = crashed.metadata(at("f")).await.unwrap().unwrap();
        lens.insert((found.len, found.modified_ns));
        let bytes = content(&crashed, "f").await.unwrap();
        assert!(bytes[3..].iter().all(|byte| *byte == 0 || b"end".contains(byte)));
        assert_eq!(bytes[..3], *b"old");
    }
    assert_eq!(lens.into_iter().collect::<Vec<_>>(), [(3, 5), (3003, 7)]);
}

#[tokio::test]
async fn a_cut_may_be_lost_too() {
    let disk = CrashDisk::new();
    let file = durable(&disk, "f", b"a longer one").await;
    file.set_len(1).await.unwrap();
    put(&*file, 3, b"x").await;
    assert_eq!(content(&disk, "f").await.unwrap(), &b"a\0\0x"[..]);
    let nothing = disk.fork().crash(Survival::Nothing);
    assert_eq!(content(&nothing, "f").await.unwrap(), "a longer one");
    let lens: std::collections::BTreeSet<_> =
        outcomes(&disk, "f").await.into_keys().map(|found| found.unwrap().len()).collect();
    assert_eq!(lens.into_iter().collect::<Vec<_>>(), [1, 4, 12]);
}

#[tokio::test]
async fn old_changes_are_written_back_in_time() {
    let disk = CrashDisk::new();
    let file = durable(&disk, "f", b"").await;
    for i in 0..WRITEBACK_CHANGES as u64 + 2 {
        put(&*file, i, b"x").await;
    }
    let disk = disk.crash(Survival::Nothing);
    assert_eq!(content(&disk, "f").await.unwrap(), "xx", "those that no longer fitted");
}

#[tokio::test]
async fn a_flipped_bit_is_seen_and_stays() {
    let disk = CrashDisk::new();
    let file = durable(&disk, "f", b"abc").await;
    disk.flip(at("f"), 9).unwrap();
    put(&*file, 2, b"x").await;
    disk.flip(at("f"), 16).unwrap();
    assert_eq!(content(&disk, "f").await.unwrap(), "a`y");
    assert_eq!(content(&disk.fork().crash(Survival::Nothing), "f").await.unwrap(), "a`c");
    file.sync().await.unwrap();
    assert_eq!(content(&disk.crash(Survival::Nothing), "f").await.unwrap(), "a`y");
    assert!(disk.flip(at("f"), 24).is_err(), "it has no such bit");
}

#[tokio::test]
async fn the_same_seed_leaves_the_same() {
    let disk = CrashDisk::new();
    let file = durable(&disk, "f", &[0; 4096]).await;
    for (i, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
        put(&*file, 512 * i as u64, b"1").await;
        create(&disk, name).await;
    }
    let leaves = async |seed| {
        let disk = disk.fork().crash(Survival::Mixture(seed));
        (content(&disk, "f").await, disk.list(at("/"), None, 10).await.unwrap())
    };
    for seed in 0..8 {
        assert_eq!(leaves(seed).await, leaves(seed).await);
    }
}

#[tokio::test]
async fn a_forked_machine_goes_its_own_way() {
    let disk = CrashDisk::new();
    let file = durable(&disk, "f", b"one").await;
    let other = disk.fork();
    put(&*file, 0, b"two").await;
    assert_eq!(content(&other, "f").await.unwrap(), "one");
    other.remove_file(at("f")).await.unwrap();
    other.crash(Survival::Nothing);
    assert_eq!(content(&disk, "f").await.unwrap(), "two");
}
