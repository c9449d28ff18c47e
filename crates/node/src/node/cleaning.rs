//! What nobody uses any more is removed now and then.

use std::sync::Arc;
use std::time::Duration;

use peerstream_snapshot::DirectoryStore;
use peerstream_types::WallClock;
use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior};

use super::held::Held;
use crate::clock::SystemClock;

/// How often checkpoints are looked at: their space comes back within this time, and a look costs nothing.
const CHECKPOINTS_INTERVAL: Duration = Duration::from_secs(60);
/// How often stagings are: a look asks for every file of theirs, and they may stay for days.
const STAGINGS_INTERVAL: Duration = Duration::from_secs(3600);

/// The cleaning of a node; ends with it.
#[derive(Debug)]
pub(super) struct Cleaning(JoinHandle<()>);

impl Drop for Cleaning {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Cleans until the answer is dropped.
pub(super) fn start(held: Vec<Arc<Held>>, received: Arc<DirectoryStore>) -> Cleaning {
    Cleaning(tokio::spawn(async move {
        let (mut checkpoints, mut stagings) = (ticks(CHECKPOINTS_INTERVAL), ticks(STAGINGS_INTERVAL));
        loop {
            tokio::select! {
                _ = checkpoints.tick() => clean_checkpoints(&held, SystemClock.unix_ms()).await,
                _ = stagings.tick() => clean_stagings(&received, SystemClock.unix_ms()).await,
            }
        }
    }))
}

fn ticks(every: Duration) -> Interval {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn clean_checkpoints(held: &[Arc<Held>], now_ms: u64) {
    for (dataset, checkpoints) in held.iter().flat_map(|held| held.checkpoints()) {
        if let Err(error) = checkpoints.clean(now_ms).await {
            tracing::warn!(dataset, %error, "checkpoints that nobody uses could not be removed; tried again in a minute");
        }
    }
}

async fn clean_stagings(received: &DirectoryStore, now_ms: u64) {
    match received.clean(now_ms).await {
        Ok(removed) => {
            for gone in removed {
                let (shard, bytes, why) = (gone.shard, gone.bytes, gone.why);
                tracing::info!(%shard, bytes, ?why, "what was left of a transfer was removed");
            }
        }
        Err(error) => {
            tracing::warn!(%error, "what is left of old transfers could not be removed; tried again in an hour");
        }
    }
}

#[cfg(test)]
mod tests {
    use peerstream_snapshot::{BlockingPool, Fence, MemoryStore, RealDisk, Sink, Source};
    use peerstream_types::{EntryKey, Selector, ShardId};

    use super::*;

    const DAY_MS: u64 = 24 * 3600 * 1000;

    /// D8: what is left of a transfer that nobody goes on with is removed by the node itself.
    #[tokio::test]
    async fn old_stagings_are_removed() {
        let root = tempfile::tempdir().unwrap();
        let (disk, pool) = (Arc::new(RealDisk::new()), Arc::new(BlockingPool::new()));
        let store = DirectoryStore::open(root.path(), disk, pool).await.unwrap();
        let shard: ShardId = "metrics@1/0".parse().unwrap();
        let peer = MemoryStore::new();
        peer.put(&shard, EntryKey::from_path("a").unwrap(), "x", Vec::new());
        let header = peer.open(&shard, &Selector::All).await.unwrap().header();
        let staging = store.stage(&shard, &Selector::All, Fence(1)).await.unwrap();
        staging.begin(&header).await.unwrap();
        drop(staging);
        let staged = root.path().join("metrics@1/0/staging/1");
        let now_ms = SystemClock.unix_ms();
        clean_stagings(&store, now_ms + 6 * DAY_MS).await;
        assert!(staged.exists());
        clean_stagings(&store, now_ms + 8 * DAY_MS).await;
        assert!(!staged.exists());
    }
}
