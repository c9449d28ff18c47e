//! What must hold after every restart.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use peerstream_snapshot::disk::FileKind;
use peerstream_snapshot::disk::crash::{CrashDisk, Survival};
use peerstream_snapshot::{DirectoryStore, Disk, Generation, Sink, Source};
use peerstream_types::Selector;

use crate::offer::{Offer, Piece, listed, shard};
use crate::receiver::{self, Progress};

/// A disk on which a generation waits for the next one, and how it looks in the end.
pub(crate) struct Stage {
    disk: CrashDisk,
    /// Bytes that may be stored before that is written down.
    pub(crate) lag: u64,
    /// What is visible before.
    pub(crate) old: Option<(Generation, Offer)>,
    pub(crate) new: Offer,
    /// The files of a store that was never disturbed.
    after: BTreeMap<PathBuf, u64>,
    /// Changes that an undisturbed transfer makes, the opening of the store included.
    pub(crate) changes: u64,
    /// Operations of an undisturbed transfer, the opening of the store included.
    pub(crate) operations: u64,
}

impl Stage {
    /// One generation is visible, another comes.
    pub(crate) async fn second() -> Self {
        let (disk, offer) = (CrashDisk::new(), Offer::first().await);
        let store = receiver::open(&disk).await;
        let staging = receiver::writer(&store).await.unwrap();
        let old = receiver::receive(&*staging, &offer, &mut Progress::default()).await.unwrap();
        Self::of(disk.kill(), Some((old, offer)), 0).await
    }

    /// The same, and the records of what is stored may wait.
    pub(crate) async fn second_lagging(lag: u64) -> Self {
        let Self { disk, old, .. } = Self::second().await;
        Self::of(disk, old, lag).await
    }

    /// The disk is empty.
    pub(crate) async fn first() -> Self {
        Self::of(CrashDisk::new(), None, 0).await
    }

    async fn of(disk: CrashDisk, old: Option<(Generation, Offer)>, lag: u64) -> Self {
        let (new, after) = (Offer::second().await, BTreeMap::new());
        let mut stage = Self { disk, lag, old, new, after, changes: 0, operations: 0 };
        let disk = stage.disk();
        let start = disk.counts();
        let store = receiver::try_open_lagging(&disk, lag).await.unwrap();
        let staging = receiver::writer(&store).await.unwrap();
        receiver::receive(&*staging, &stage.new, &mut Progress::default()).await.unwrap();
        let end = disk.counts();
        stage.changes = end.changes - start.changes;
        stage.operations = stage.changes + end.reads - start.reads;
        drop((staging, store));
        assert_visible(&receiver::open(&disk).await, &stage.new).await;
        stage.after = tree(&disk).await;
        stage
    }

    /// Opens the store of the transfer.
    pub(crate) async fn open(&self, disk: &CrashDisk) -> DirectoryStore {
        receiver::try_open_lagging(disk, self.lag).await.unwrap()
    }

    /// A disk as it is before the transfer.
    pub(crate) fn disk(&self) -> CrashDisk {
        self.disk.fork()
    }

    /// Opens the store again and checks the promises; `safe` has to be held. Then the transfer is
    /// finished, and has to survive the loss of power. Says what had to come.
    pub(crate) async fn check(
        &self,
        disk: CrashDisk,
        progress: &Progress,
        safe: &BTreeSet<Piece>,
    ) -> BTreeSet<Piece> {
        let store = receiver::open(&disk).await;
        let mut fetched = BTreeSet::new();
        if self.new_is_visible(&store).await {
            assert!(progress.publishing, "it is visible, and publish was not called");
        } else {
            assert!(!progress.published, "it is not visible, and publish has returned");
            fetched = self.finish(&store, safe).await;
        }
        drop(store);
        self.check_end(&disk).await;
        fetched
    }

    /// Finishes a transfer, for which `safe` has to be held. Says what had to come.
    pub(crate) async fn finish(&self, store: &DirectoryStore, safe: &BTreeSet<Piece>) -> BTreeSet<Piece> {
        let staging = receiver::writer(store).await.unwrap();
        let held = receiver::begin(&*staging, &self.new).await.unwrap();
        let lost: Vec<_> = safe.difference(&held).collect();
        assert!(lost.is_empty(), "verified chunks were lost: {lost:?}");
        let progress = &mut Progress::default();
        let generation = receiver::complete(&*staging, &self.new, &held, progress).await.unwrap();
        assert!(self.old.as_ref().is_none_or(|(old, _)| generation > *old), "generations count up");
        self.new.pieces().difference(&held).copied().collect()
    }

    /// The new generation is there to stay, and nothing else is left.
    pub(crate) async fn check_end(&self, disk: &CrashDisk) {
        assert_visible(&receiver::open(disk).await, &self.new).await;
        let disk = disk.crash(Survival::Nothing);
        let store = receiver::open(&disk).await;
        assert_visible(&store, &self.new).await;
        assert_eq!(tree(&disk).await, self.after, "something is left over, or is missing");
    }

    /// Either generation is visible, whole and with its own position and state. Which?
    pub(crate) async fn new_is_visible(&self, store: &DirectoryStore) -> bool {
        let visible = store.current(&shard()).await.unwrap().map(|(generation, _)| generation);
        match &self.old {
            Some((old, offer)) if visible == Some(*old) => {
                assert_visible(store, offer).await;
                false
            }
            None if visible.is_none() => {
                assert!(store.open(&shard(), &Selector::All).await.is_err());
                false
            }
            _ => {
                assert_visible(store, &self.new).await;
                true
            }
        }
    }
}

/// Checks that a store shows a generation, to the last byte.
async fn assert_visible(store: &DirectoryStore, offer: &Offer) {
    let (_, header) = store.current(&shard()).await.unwrap().expect("something is visible");
    assert_eq!(header, offer.header, "position and state are of another generation");
    let snapshot = store.open(&shard(), &Selector::All).await.unwrap();
    let (sealed, entries) = listed(&*snapshot).await;
    assert_eq!(sealed, offer.header);
    assert_eq!(entries, offer.entries);
    for entry in &entries {
        let len = usize::try_from(entry.len).unwrap();
        let bytes = snapshot.read(entry.ordinal, 0, len).await.unwrap();
        assert!(bytes == offer.content[&entry.key], "{}: other bytes", entry.key);
    }
}

/// All files with their lengths.
pub(crate) async fn tree(disk: &CrashDisk) -> BTreeMap<PathBuf, u64> {
    let (mut files, mut dirs) = (BTreeMap::new(), vec![PathBuf::from("/")]);
    while let Some(dir) = dirs.pop() {
        for entry in disk.list(&dir, None, usize::MAX).await.unwrap() {
            let path = dir.join(entry.name);
            match entry.metadata.kind {
                FileKind::Dir => dirs.push(path),
                FileKind::File | FileKind::Other => drop(files.insert(path, entry.metadata.len)),
            }
        }
    }
    files
}
