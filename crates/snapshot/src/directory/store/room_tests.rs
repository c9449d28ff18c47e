//! Room is reserved before bytes move (C29, D8).

use peerstream_types::ManifestHeader;

use super::tests::{Offer, content, fill, offer, shard};
use super::*;
use crate::directory::Room;
use crate::disk::DiskErrorKind;
use crate::disk::crash::CrashDisk;
use crate::offload::Inline;

const ALL: Room = Room { keep_free: 0, usable_permille: 1000 };

async fn open(disk: &CrashDisk, room: Option<Room>) -> DirectoryStore {
    let options = StoreOptions { room, ..StoreOptions::default() };
    DirectoryStore::open_with("/s", Arc::new(disk.clone()), Arc::new(Inline), options).await.unwrap()
}

async fn writer(store: &DirectoryStore, shard: &ShardId) -> Arc<dyn Staging> {
    store.stage(shard, &Selector::All, Fence(1)).await.unwrap()
}

fn unsealed(offer: &Offer) -> ManifestHeader {
    ManifestHeader { digest: None, counts: Default::default(), ..offer.header.clone() }
}

/// Leaves just so much room that what is staged by now takes nothing of it.
fn leave(disk: &CrashDisk, free: u64) {
    disk.set_capacity(Some(disk.used() + free));
}

/// C29: the fixture of the original, with figures that a manifest of one page has.
#[tokio::test]
async fn a_page_that_does_not_fit_is_refused() {
    let offer = offer(&[("long", content(3330))]).await;
    for (free, fits) in [(3340, true), (3320, false)] {
        let disk = CrashDisk::new();
        let store = open(&disk, Some(ALL)).await;
        let staging = writer(&store, &shard()).await;
        staging.begin(&unsealed(&offer)).await.unwrap();
        leave(&disk, free);
        let admitted = staging.admit(offer.entries.clone()).await;
        if fits {
            assert_ne!(admitted, Err(SinkError::NoRoom { shard: shard(), needed: 3330, free, reserve: 0 }));
            continue;
        }
        assert_eq!(admitted, Err(SinkError::NoRoom { shard: shard(), needed: 3330, free, reserve: 0 }));
        disk.set_capacity(None);
        assert_eq!(staging.admit(offer.entries.clone()).await, Ok(Vec::new()), "once there is room");
    }
}

/// On a disk with less room than the reserve nothing is taken, and the message says what is free and why it
/// is not used.
#[tokio::test]
async fn a_refusal_names_what_is_free_and_the_reserve() {
    let (disk, offer) = (CrashDisk::new(), offer(&[("long", content(3330))]).await);
    let store = open(&disk, Some(Room::default())).await;
    let staging = writer(&store, &shard()).await;
    leave(&disk, 40 << 20);
    let refused = staging.begin(&offer.header).await.unwrap_err();
    assert!(matches!(refused, SinkError::NoRoom { free: 1.., reserve, .. } if reserve > 0), "{refused:?}");
    let told = refused.to_string();
    assert!(told.contains(" are free, of which ") && told.contains("stay free as a reserve"), "{told}");
}

/// C29: what a sealed header announces is reserved at once, and what is staged is not needed again.
#[tokio::test]
async fn a_manifest_that_does_not_fit_is_refused_before_it_begins() {
    let (disk, offer) = (CrashDisk::new(), offer(&[("long", content(9000))]).await);
    let store = open(&disk, Some(ALL)).await;
    let staging = writer(&store, &shard()).await;
    leave(&disk, 8000);
    let begun = staging.begin(&offer.header).await;
    assert!(matches!(begun, Err(SinkError::NoRoom { needed: 8001.., .. })), "{begun:?}");
    disk.set_capacity(None);
    staging.begin(&offer.header).await.unwrap();
    staging.admit(offer.entries.clone()).await.unwrap();
    fill(&offer, &*staging).await;
    leave(&disk, 2000);
    staging.begin(&offer.header).await.unwrap();
    assert_eq!(staging.admit(offer.entries.clone()).await.unwrap().len(), 1);
}

/// C29: shards that share a disk share its room; a skipped check refuses nothing.
#[tokio::test]
async fn shards_under_way_count_together() {
    let (disk, offer) = (CrashDisk::new(), offer(&[("long", content(6000))]).await);
    let store = open(&disk, Some(ALL)).await;
    let other: ShardId = "facts@1/1".parse().unwrap();
    let (one, two) = (writer(&store, &shard()).await, writer(&store, &other).await);
    leave(&disk, 10_000);
    one.begin(&offer.header).await.unwrap();
    let begun = two.begin(&offer.header).await;
    assert!(matches!(begun, Err(SinkError::NoRoom { needed: 11_000.., .. })), "{begun:?}");
    drop(one);
    two.begin(&offer.header).await.unwrap();

    let careless = open(&disk.kill(), None).await;
    let staging = writer(&careless, &shard()).await;
    staging.begin(&offer.header).await.unwrap();
    writer(&careless, &other).await.begin(&offer.header).await.unwrap();
}

/// C29: small entries are needed twice, in a pack and as a file.
#[tokio::test]
async fn small_entries_need_room_twice() {
    let (disk, offer) = (CrashDisk::new(), offer(&[("a", content(500)), ("b", content(500))]).await);
    let store = open(&disk, Some(ALL)).await;
    let staging = writer(&store, &shard()).await;
    staging.begin(&unsealed(&offer)).await.unwrap();
    leave(&disk, 1500);
    let admitted = staging.admit(offer.entries.clone()).await;
    assert_eq!(admitted, Err(SinkError::NoRoom { shard: shard(), needed: 2000, free: 1500, reserve: 0 }));
}

/// D8: a disk that fills up in spite of all is a clear error, and loses nothing.
#[tokio::test]
async fn a_full_disk_keeps_what_is_staged_and_goes_on() {
    let files = [("a", content(900)), ("b", content(5000)), ("c", content(800))];
    let offer = offer(&files).await;
    for free in (0..8000).step_by(250) {
        let disk = CrashDisk::new();
        let store = open(&disk, None).await;
        let staging = writer(&store, &shard()).await;
        staging.begin(&offer.header).await.unwrap();
        staging.admit(offer.entries.clone()).await.unwrap();
        leave(&disk, free);
        let mut missing = 0;
        for chunk in offer.chunks().await {
            match staging.store(vec![chunk]).await {
                Ok(()) => {}
                Err(SinkError::Disk(error)) if error.kind == DiskErrorKind::Full => missing += 1,
                Err(other) => panic!("{other}"),
            }
        }
        let sealed = staging.seal(&offer.header).await;
        assert!(missing == 0 || matches!(sealed, Err(SinkError::Incomplete { .. })), "{free}: {sealed:?}");
        disk.set_capacity(None);
        fill(&offer, &*staging).await;
        staging.seal(&offer.header).await.unwrap();
        staging.publish().await.unwrap();
    }
}
