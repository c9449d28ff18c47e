//! Receives a generation as the engine does, and remembers what it was promised.

use std::collections::BTreeSet;
use std::sync::Arc;

use peerstream_snapshot::directory::StoreOptions;
use peerstream_snapshot::disk::crash::CrashDisk;
use peerstream_snapshot::offload::Inline;
use peerstream_snapshot::{
    DirectoryStore, DiskError, Fence, Generation, Sink, SinkError, Staging, VerifiedChunk,
};
use peerstream_types::{ManifestHeader, Selector};

use crate::offer::{Offer, Piece, piece, shard};

/// Entries that are admitted at once.
const PAGE: usize = 5;
/// Chunks that are stored at once: what is in flight when a crash comes.
pub(crate) const BATCH: usize = 3;
/// Batches between two checkpoints.
const CHECKPOINT: usize = 3;
/// Pieces that may have to come again after the loss of power: those since the last checkpoint.
pub(crate) const UNSYNCED_MAX: usize = BATCH * CHECKPOINT;

/// What has to survive.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress {
    /// `store` has returned: survives the end of the process.
    pub(crate) stored: BTreeSet<Piece>,
    /// A checkpoint has returned since: survives the loss of power.
    pub(crate) durable: BTreeSet<Piece>,
    /// `publish` was called: the new generation may be visible.
    pub(crate) publishing: bool,
    /// `publish` has returned: the new generation is visible.
    pub(crate) published: bool,
}

/// Opens the store on a disk.
pub(crate) async fn open(disk: &CrashDisk) -> DirectoryStore {
    let store = try_open(disk).await.unwrap();
    assert_eq!(store.faults(), [], "the store finds nothing wrong with its shards");
    store
}

/// Opens the store on a disk that may fail. What was stored is written down at once.
pub(crate) async fn try_open(disk: &CrashDisk) -> Result<DirectoryStore, DiskError> {
    try_open_lagging(disk, 0).await
}

/// Opens the store on a disk that may fail, with records that may wait.
pub(crate) async fn try_open_lagging(disk: &CrashDisk, lag: u64) -> Result<DirectoryStore, DiskError> {
    let options = StoreOptions { lag, ..StoreOptions::default() };
    DirectoryStore::open_with("/srv/store", Arc::new(disk.clone()), Arc::new(Inline), options).await
}

/// A writer, with nothing begun.
pub(crate) async fn writer(store: &DirectoryStore) -> Result<Arc<dyn Staging>, SinkError> {
    store.stage(&shard(), &Selector::All, Fence(1)).await
}

/// Begins and admits everything; says what is held.
pub(crate) async fn begin(staging: &dyn Staging, offer: &Offer) -> Result<BTreeSet<Piece>, SinkError> {
    staging.begin(&begun(&offer.header)).await?;
    let mut held = BTreeSet::new();
    for page in offer.entries.chunks(PAGE) {
        held.extend(offer.held(&staging.admit(page.to_vec()).await?));
    }
    Ok(held)
}

/// The header before the manifest is sealed.
fn begun(header: &ManifestHeader) -> ManifestHeader {
    ManifestHeader { digest: None, counts: Default::default(), ..header.clone() }
}

/// Receives everything, page by page, with checkpoints on the way, and publishes it.
pub(crate) async fn receive(
    staging: &dyn Staging,
    offer: &Offer,
    progress: &mut Progress,
) -> Result<Generation, SinkError> {
    staging.begin(&begun(&offer.header)).await?;
    let mut batches = 0;
    for page in offer.entries.chunks(PAGE) {
        let held = offer.held(&staging.admit(page.to_vec()).await?);
        let missing = missing(offer, page.iter().map(|entry| &entry.key), &held);
        for batch in missing.chunks(BATCH) {
            store_batch(staging, batch, progress).await?;
            batches += 1;
            if batches % CHECKPOINT == 0 {
                staging.checkpoint().await?;
                progress.durable = progress.stored.clone();
            }
        }
    }
    finish(staging, offer, progress).await
}

/// The chunks of some entries that are not held, the last chunk of every entry first.
fn missing<'a>(
    offer: &Offer,
    keys: impl Iterator<Item = &'a peerstream_types::EntryKey>,
    held: &BTreeSet<Piece>,
) -> Vec<VerifiedChunk> {
    let chunks = keys.flat_map(|key| offer.chunks[key].iter().rev());
    chunks.filter(|chunk| !held.contains(&piece(chunk))).cloned().collect()
}

async fn store_batch(
    staging: &dyn Staging,
    batch: &[VerifiedChunk],
    progress: &mut Progress,
) -> Result<(), SinkError> {
    staging.store(batch.to_vec()).await?;
    progress.stored.extend(batch.iter().map(piece));
    Ok(())
}

/// Seals and publishes.
async fn finish(
    staging: &dyn Staging,
    offer: &Offer,
    progress: &mut Progress,
) -> Result<Generation, SinkError> {
    staging.seal(&offer.header).await?;
    progress.stored = offer.pieces();
    progress.durable = offer.pieces();
    progress.publishing = true;
    let generation = staging.publish().await?;
    progress.published = true;
    Ok(generation)
}

/// Stores what is not held, seals and publishes.
pub(crate) async fn complete(
    staging: &dyn Staging,
    offer: &Offer,
    held: &BTreeSet<Piece>,
    progress: &mut Progress,
) -> Result<Generation, SinkError> {
    for batch in missing(offer, offer.entries.iter().map(|entry| &entry.key), held).chunks(BATCH) {
        store_batch(staging, batch, progress).await?;
    }
    finish(staging, offer, progress).await
}
