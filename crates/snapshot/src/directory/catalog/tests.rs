//! Catalogs against listings in memory, while they grow, after damage and after a crash.

use peerstream_types::{
    ChainingValue, ChunkIndex, ChunkRange, ChunkSize, Codec, EntryKey, EntryKind, Position,
};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::content::{Described, digest_of_whole};
use crate::listing::{Frame, Listing};
use crate::{OffloadGone, RealDisk};

fn disk() -> Arc<dyn Disk> {
    Arc::new(RealDisk::new())
}

fn frame() -> Frame {
    let position = Some(Position { log: "wal".into(), epoch: 3, token: vec![9] });
    Frame { chunk_size: ChunkSize::new(1024).unwrap(), position, state: b"state".to_vec() }
}

fn entry(key: &str, len: u64) -> Entry {
    Entry {
        ordinal: Ordinal(0),
        key: EntryKey::from_path(key).unwrap(),
        len,
        digest: Some(digest_of_whole(key.as_bytes())),
        kind: EntryKind::File,
        codec: Codec::Plain,
        metadata: vec![7; key.len() % 3],
    }
}

fn entries(count: u64) -> Vec<Entry> {
    (0..count).map(|i| entry(&format!("{i:06}"), i)).collect()
}

async fn begin(dir: &TempDir) -> CatalogWriter {
    CatalogWriter::create(disk(), dir.path().join("catalog"), frame()).await.unwrap()
}

async fn sealed(dir: &TempDir, entries: Vec<Entry>) -> Arc<Catalog> {
    let mut writer = begin(dir).await;
    writer.push(entries).await.unwrap();
    writer.seal(frame()).await.unwrap()
}

async fn reopened(dir: &TempDir) -> Result<Catalog, DiskError> {
    Catalog::open(disk(), dir.path().join("catalog")).await
}

/// All pages of a catalog or a listing.
async fn pages(catalog: &Catalog, limit: usize) -> Result<(Vec<Entry>, ManifestHeader), SourceError> {
    let (mut token, mut entries) = (PageToken::START, Vec::new());
    loop {
        let page = catalog.page(&token, limit).await?;
        entries.extend(page.entries);
        match (page.next, page.sealed) {
            (Some(next), None) => token = next,
            (None, Some(header)) => return Ok((entries, header)),
            other => panic!("a page ends, or it goes on: {other:?}"),
        }
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// A18: page by page on disk, a manifest is the same as in memory.
    #[test]
    fn a_catalog_is_its_listing(
        keys in proptest::collection::btree_set("[a-c]{1,3}(/[a-z.]{1,6}x){0,2}", 0..700),
        limit in 1..300usize,
    ) {
        let entries: Vec<Entry> = keys.iter().map(|key| entry(key, key.len() as u64 * 100)).collect();
        let listing = Listing::seal(entries.clone(), frame()).unwrap();
        block_on(async {
            let dir = TempDir::new().unwrap();
            let fresh = sealed(&dir, entries).await;
            for catalog in [&*fresh, &reopened(&dir).await.unwrap()] {
                let (entries, header) = pages(catalog, limit).await.unwrap();
                assert_eq!((&entries[..], &header), (listing.entries(), listing.header()));
                let (first, count) = (Ordinal(limit as u64), 5);
                let run = catalog.run(first, count).await;
                assert_eq!(run, listing.run(first, count).map(<[Entry]>::to_vec));
            }
        });
    }
}

/// Pins the format: a store of today has to be readable tomorrow.
#[tokio::test]
async fn the_format_is_pinned() {
    let dir = TempDir::new().unwrap();
    outlined(&dir, entries(300), &[7; 3000]).await;
    let golden = [
        ("pages", "8436ad28d732c35567a760980411e751f14e4f7a15eaa103d900a764bee1802c"),
        ("index", "5e6f7249b98559d06a7bef42be0c1e4493d5e7131dd8d8552de32e043492b39a"),
        ("outlines", "b15abebd08e0f0280031beb67e805c9e0b7f90009bc3ea4d6dedecf18c70f32b"),
        ("head", "47c21fdb786c629a065977b77fdc541bf49cc18b971ce09f4ed6fabb2a6012d7"),
    ];
    let hash = |name| blake3::hash(&std::fs::read(dir.path().join("catalog").join(name)).unwrap()).to_hex();
    let found = golden.map(|(name, _)| (name, hash(name).to_string()));
    assert_eq!(found, golden.map(|(name, hash)| (name, hash.to_owned())));
}

/// Some short entries, and a long one with its outline.
async fn outlined(dir: &TempDir, entries: Vec<Entry>, content: &[u8]) -> Arc<Catalog> {
    let described = Described::of(frame().chunk_size, &content.to_vec().into());
    let mut writer = begin(dir).await;
    writer.push(entries).await.unwrap();
    for part in described.outline.chunks(700) {
        writer.append_outline(content.len() as u64, part).await.unwrap();
    }
    assert_eq!(writer.finish_outline().await.unwrap(), Some(described.digest));
    let long = Entry { digest: Some(described.digest), ..entry("long", content.len() as u64) };
    writer.push([long, entry("longer", 5)]).await.unwrap();
    writer.seal(frame()).await.unwrap()
}

#[tokio::test]
async fn every_damage_is_noticed() {
    let dir = TempDir::new().unwrap();
    outlined(&dir, entries(3), &[7; 3000]).await;
    assert!(read_all(&dir).await, "it is good");
    for name in ["pages", "index", "outlines", "head"] {
        let path = dir.path().join("catalog").join(name);
        let good = std::fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            std::fs::write(&path, &bad).unwrap();
            assert!(!read_all(&dir).await, "{name}: byte {at}");
            std::fs::write(&path, &good[..at]).unwrap();
            assert!(!read_all(&dir).await, "{name}: cut at {at}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(!read_all(&dir).await, "{name}: missing");
        std::fs::write(&path, &good).unwrap();
    }
}

/// Whether all of a catalog with a long entry in fourth place can be read.
async fn read_all(dir: &TempDir) -> bool {
    let Ok(catalog) = reopened(dir).await else { return false };
    let range = ChunkRange { first: ChunkIndex(0), count: 3 };
    let outline = catalog.outline(Ordinal(3), 0, range).await;
    pages(&catalog, 2).await.is_ok() && outline.is_ok_and(|values| values.is_some())
}

#[tokio::test]
async fn a_token_fits_what_begins_the_same_and_nothing_else() {
    let (dir, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let mut writer = begin(&dir).await;
    writer.push(entries(256)).await.unwrap();
    let growing = writer.catalog().page(&PageToken::START, 1000).await.unwrap();
    let token = growing.next.expect("it is not sealed");
    writer.push([entry("x", 1)]).await.unwrap();
    let catalog = writer.seal(frame()).await.unwrap();
    for catalog in [&*catalog, &reopened(&dir).await.unwrap()] {
        let rest = catalog.page(&token, 1000).await.unwrap();
        assert_eq!((rest.entries.len(), rest.next), (1, None));
        let middle = catalog.page(&PageToken::START, 100).await.unwrap().next.unwrap();
        assert_eq!(catalog.page(&middle, 1).await.unwrap().entries[0].ordinal, Ordinal(100));
    }
    let mut changed = entries(300);
    changed[3].len += 1;
    let other = sealed(&other, changed).await;
    assert!(matches!(other.page(&token, 1).await, Err(SourceError::BadToken)));
    for forged in [vec![1], vec![0; 24], vec![255; 24], [&1u64.to_be_bytes()[..], &[0; 16]].concat()] {
        let page = catalog.page(&PageToken::new(forged).unwrap(), 1).await;
        assert!(matches!(page, Err(SourceError::BadToken)), "{page:?}");
    }
}

#[tokio::test]
async fn pages_wait_for_entries_and_end_with_the_writer() {
    for how in ["seal", "fail", "drop"] {
        let dir = TempDir::new().unwrap();
        let mut writer = begin(&dir).await;
        let catalog = writer.catalog().clone();
        let read = tokio::spawn(async move { pages(&catalog, 100).await.map(|(entries, _)| entries.len()) });
        for entry in entries(600) {
            writer.push([entry]).await.unwrap();
            tokio::task::yield_now().await;
        }
        assert!(!read.is_finished());
        let expected = match how {
            "seal" => writer.seal(frame()).await.map(|_| Ok(600)).unwrap(),
            "fail" => {
                writer.fail(SourceError::BadToken);
                Err(SourceError::BadToken)
            }
            _ => {
                drop(writer);
                Err(OffloadGone.into())
            }
        };
        assert_eq!(read.await.unwrap(), expected, "{how}");
    }
}

#[tokio::test]
async fn keys_out_of_order_are_not_taken() {
    let dir = TempDir::new().unwrap();
    let mut writer = begin(&dir).await;
    let pushed = writer.push([entry("b", 1), entry("b", 1)]).await;
    assert_eq!(pushed, Err(CatalogError::Order(EntryKey::from_path("b").unwrap())));
    assert!(writer.push([entry("a", 1)]).await.is_err());
    writer.push([entry("c", 1)]).await.unwrap();
    assert_eq!(writer.catalog().entries(), 2);
}

#[tokio::test]
async fn a_cursor_reads_all_entries_in_order() {
    let dir = TempDir::new().unwrap();
    let catalog = sealed(&dir, entries(700)).await;
    for first in [0, 255, 256, 699, 700] {
        let mut cursor = catalog.cursor(Ordinal(first));
        for ordinal in first..700 {
            assert_eq!(cursor.peek().await.unwrap().unwrap().ordinal, Ordinal(ordinal));
            assert_eq!(cursor.next().await.unwrap().unwrap().ordinal, Ordinal(ordinal));
        }
        assert_eq!(cursor.peek().await, Ok(None));
        assert_eq!(cursor.next().await, Ok(None));
    }
}

/// Two levels: of an entry of several groups, any run of chunks or groups is answered, checked.
#[tokio::test]
async fn outlines_of_several_groups_are_answered_by_level() {
    let dir = TempDir::new().unwrap();
    let size = frame().chunk_size;
    let content: Vec<u8> = (0..2_500_000u32).map(|i| (i % 251) as u8).collect();
    let described = Described::of(size, &content.clone().into());
    let catalog = outlined(&dir, entries(2), &content).await;
    let top = crate::content::top_of_outline(size, content.len() as u64, &described.outline);
    let ask = |level, first, count| {
        let range = ChunkRange { first: ChunkIndex(first), count };
        let catalog = &catalog;
        async move { catalog.outline(Ordinal(2), level, range).await }
    };
    for (first, count) in [(0, 1), (0, 1024), (1023, 2), (2000, 442), (0, 2442), (7, 0)] {
        let values = ask(0, first, count).await.unwrap().unwrap();
        assert_eq!(values, described.outline[first as usize..][..count as usize]);
    }
    assert_eq!(ask(1, 0, 3).await.unwrap().unwrap(), top);
    assert_eq!(ask(1, 1, 1).await.unwrap().unwrap(), top[1..2]);
    for (level, first, count) in [(0, 2442, 1), (0, u64::MAX, 1), (1, 3, 1), (2, 0, 1)] {
        assert_eq!(ask(level, first, count).await, Err(SourceError::BadRange(Ordinal(2))));
    }
    let short = catalog.outline(Ordinal(1), 0, ChunkRange { first: ChunkIndex(0), count: 1 }).await;
    assert_eq!(short, Err(SourceError::BadRange(Ordinal(1))));
}

#[tokio::test]
async fn values_that_are_missing_or_wrong_are_none() {
    let dir = TempDir::new().unwrap();
    let size = frame().chunk_size;
    let content = vec![5u8; 1500 * 1024];
    let described = Described::of(size, &content.into());
    let top = crate::content::top_of_outline(size, 1500 * 1024, &described.outline);
    let mut writer = begin(&dir).await;
    writer.push([Entry { digest: Some(described.digest), ..entry("long", 1500 * 1024) }]).await.unwrap();
    let catalog = writer.catalog();
    let ask = |level, first, count| async move {
        let range = ChunkRange { first: ChunkIndex(first), count };
        catalog.outline(Ordinal(0), level, range).await.unwrap()
    };
    assert_eq!(ask(0, 0, 1500).await, None);
    let wrong = vec![ChainingValue([1; 32]); 2];
    catalog.write_values(1500, &wrong).await.unwrap();
    assert_eq!(ask(1, 0, 2).await, None);
    catalog.write_values(1500, &top).await.unwrap();
    assert_eq!(ask(1, 0, 2).await, Some(top));
    catalog.write_values(1024, &described.outline[1024..]).await.unwrap();
    assert_eq!(ask(0, 1024, 476).await.as_deref(), Some(&described.outline[1024..]));
    assert_eq!(ask(0, 1023, 2).await, None, "the first group is not there");
}
