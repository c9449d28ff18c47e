//! Bugs on purpose, one for each invariant, to show that each of them can fail.
//!
//! A bug sits at a seam between the engine and its parts, nearer to the engine than the taps of the
//! [watch](crate::watch): attach the watch first. An author of a store may take them to see that a
//! scenario looks where it should.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use peerstream_blocks::{BlockKey, BlockStore, Tags};
use peerstream_engine::select::{Level, LevelScope, OwnVote};
use peerstream_engine::{Dataset, EngineConfig, Levels, Parts};
use peerstream_placement::{Holder, Placement};
use peerstream_shape::{Charge, PassThrough, Shaper};
use peerstream_snapshot::{
    BoxFuture, DiskError, Fence, Generation, Held, Listing, MemoryStore, Sink, SinkError, Staging,
    VerifiedChunk,
};
use peerstream_transport::access::{AccessRules, SharedAccess};
use peerstream_types::{
    Entry, EntryKey, EntryKind, ManifestHeader, NodeId, Ordinal, Position, Selector, ShardId,
};

use crate::seam::{Boot, Seam};

/// Something that is wrong with a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bug {
    /// The store changes a byte of what it shows.
    CorruptsAnEntry,
    /// Whatever was staged is thrown away when a job begins.
    StartsFromZero,
    /// Whatever was staged is thrown away when the node boots.
    ForgetsAtBoot,
    /// Checkpoints are said to be done, and are not.
    SkipsCheckpoints,
    /// What has come is shown at once.
    PublishesTooEarly,
    /// Readers get something as long as nothing is published.
    ShowsGarbage,
    /// The position is moved on without the data.
    MovesThePosition,
    /// Bytes go past the shaper.
    GoesPastTheShaper,
    /// More sessions than there may be.
    TakesEverySession,
    /// Says that it is published, and it is not.
    PublishesNothing,
    /// The last step never ends.
    HangsAtTheEnd,
    /// One shard's trouble is every shard's trouble.
    SpreadsTrouble,
    /// Serves whoever asks.
    ServesStrangers,
    /// Does not do the same thing twice.
    RollsDice,
    /// Counts itself among those who agree on data that it lacks.
    CountsItself,
    /// Publishes once anybody was heard.
    SucceedsTooEarly,
    /// A series comes without its tags.
    LosesTags,
    /// What was deleted elsewhere stays.
    ForgetsDeletes,
}

impl Bug {
    /// Every bug.
    pub const ALL: [Self; 18] = [
        Self::CorruptsAnEntry,
        Self::StartsFromZero,
        Self::ForgetsAtBoot,
        Self::SkipsCheckpoints,
        Self::PublishesTooEarly,
        Self::ShowsGarbage,
        Self::MovesThePosition,
        Self::GoesPastTheShaper,
        Self::TakesEverySession,
        Self::PublishesNothing,
        Self::HangsAtTheEnd,
        Self::SpreadsTrouble,
        Self::ServesStrangers,
        Self::RollsDice,
        Self::CountsItself,
        Self::SucceedsTooEarly,
        Self::LosesTags,
        Self::ForgetsDeletes,
    ];

    /// The name of the invariant that must notice it.
    pub fn breaks(self) -> &'static str {
        match self {
            Self::CorruptsAnEntry => "verified",
            Self::StartsFromZero | Self::ForgetsAtBoot | Self::SkipsCheckpoints => "progress kept",
            Self::PublishesTooEarly | Self::ShowsGarbage => "all or nothing",
            Self::MovesThePosition => "position not ahead",
            Self::GoesPastTheShaper => "foreground first",
            Self::TakesEverySession => "bounded",
            Self::PublishesNothing => "tells the truth",
            Self::HangsAtTheEnd => "ends",
            Self::SpreadsTrouble => "faults stay small",
            Self::ServesStrangers => "closed",
            Self::RollsDice => "repeatable",
            Self::CountsItself | Self::SucceedsTooEarly => "agreed",
            Self::LosesTags | Self::ForgetsDeletes => "merged",
        }
    }
}

/// A run with a bug. The same value goes into both runs where two are compared.
#[derive(Debug, Clone)]
pub struct Planted {
    bug: Bug,
    /// The store of the node that receives.
    store: MemoryStore,
    /// For [`Bug::RollsDice`]: another number in each run.
    dice: Arc<AtomicU64>,
}

impl Planted {
    /// Plants a bug. `store` is that of the node that receives.
    pub fn new(bug: Bug, store: MemoryStore) -> Self {
        Self { bug, store, dice: Arc::default() }
    }

    /// The same bug in another run.
    #[must_use]
    pub fn again(&self, store: MemoryStore) -> Self {
        Self { store, ..self.clone() }
    }
}

impl Seam for Planted {
    fn configure(&self, _: &Boot, config: EngineConfig) -> EngineConfig {
        match self.bug == Bug::CountsItself {
            true => EngineConfig { own_vote: OwnVote::WhereAvailable, ..config },
            false => config,
        }
    }

    fn wrap(&self, boot: &Boot, parts: Parts) -> Parts {
        match self.bug {
            Bug::CountsItself => {
                let own = Holder::everything(parts.node.clone(), parts.transport.local_addr());
                let placement = Arc::new(WithItself { inner: parts.placement, own });
                Parts { placement, ..parts }
            }
            Bug::SucceedsTooEarly => {
                let levels = Levels::default();
                levels.set(LevelScope::Node, Level::One).expect("one level is not too many");
                Parts { levels, ..parts }
            }
            Bug::GoesPastTheShaper => Parts { shaper: Arc::new(PassThrough::default()), ..parts },
            Bug::ServesStrangers => {
                let access = SharedAccess::new(AccessRules::members_may_do_everything());
                Parts { access, ..parts }
            }
            Bug::RollsDice => {
                let millis = self.dice.fetch_add(1, Ordering::Relaxed);
                let shaper = Dice { inner: parts.shaper.clone(), wait: Duration::from_millis(millis) };
                Parts { shaper: Arc::new(shaper), ..parts }
            }
            // A handle that lies: see `Watch::distort`.
            Bug::TakesEverySession => parts,
            Bug::CorruptsAnEntry
            | Bug::StartsFromZero
            | Bug::ForgetsAtBoot
            | Bug::SkipsCheckpoints
            | Bug::PublishesTooEarly
            | Bug::ShowsGarbage
            | Bug::MovesThePosition
            | Bug::PublishesNothing
            | Bug::HangsAtTheEnd
            | Bug::SpreadsTrouble
            | Bug::LosesTags
            | Bug::ForgetsDeletes => {
                self.wrap_sinks(boot, &parts);
                parts
            }
        }
    }
}

impl Planted {
    fn wrap_sinks(&self, boot: &Boot, parts: &Parts) {
        let blocks = boot.blocks.as_ref().map(|blocks| blocks.store().clone());
        for name in parts.datasets.names() {
            let Some(Dataset { source, sink: Some(inner), kind, positions }) = parts.datasets.get(&name)
            else {
                continue;
            };
            let (store, blocks) = (self.store.clone(), blocks.clone());
            let sink = BadSink { inner, bug: self.bug, store, blocks, known: Mutex::default() };
            parts.datasets.insert(name, Dataset { source, sink: Some(Arc::new(sink)), kind, positions });
        }
    }
}

/// The entry that a bug spoils.
fn garbage() -> EntryKey {
    EntryKey::from_path("large/000000.sst").expect("a valid path")
}

/// A shaper that takes its time.
#[derive(Debug)]
struct Dice {
    inner: Arc<dyn Shaper>,
    wait: Duration,
}

impl Shaper for Dice {
    fn charge(&self, charge: &Charge<'_>) -> Option<std::pin::Pin<Box<dyn Future<Output = ()> + Send>>> {
        let (inner, wait) = (self.inner.charge(charge), self.wait);
        Some(Box::pin(async move {
            tokio::time::sleep(wait).await;
            if let Some(inner) = inner {
                inner.await;
            }
        }))
    }
}

/// A placement that says of this node that it has everything.
#[derive(Debug)]
struct WithItself {
    inner: Arc<dyn Placement>,
    own: Holder,
}

impl Placement for WithItself {
    fn holders(&self, shard: &ShardId) -> Vec<Holder> {
        let mut holders = self.inner.holders(shard);
        if holders.iter().all(|holder| holder.node != self.own.node) {
            holders.push(self.own.clone());
        }
        holders
    }

    fn addr_of(&self, node: &NodeId) -> Option<SocketAddr> {
        self.inner.addr_of(node)
    }
}

/// A sink with a bug.
#[derive(Debug)]
struct BadSink {
    inner: Arc<dyn Sink>,
    bug: Bug,
    store: MemoryStore,
    blocks: Option<BlockStore>,
    /// Shards that jobs began with since the node booted.
    known: Mutex<BTreeSet<ShardId>>,
}

impl Sink for BadSink {
    fn stage<'a>(
        &'a self,
        shard: &'a ShardId,
        selector: &'a Selector,
        fence: Fence,
    ) -> BoxFuture<'a, Result<Arc<dyn Staging>, SinkError>> {
        Box::pin(async move {
            let inner = self.inner.stage(shard, selector, fence).await?;
            let is_first = self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(shard.clone());
            if self.bug == Bug::StartsFromZero || self.bug == Bug::ForgetsAtBoot && is_first {
                inner.discard().await?;
            }
            let (shard, bug, store) = (shard.clone(), self.bug, self.store.clone());
            let blocks = self.blocks.clone();
            Ok(Arc::new(BadStaging { inner, shard, bug, store, blocks }) as Arc<dyn Staging>)
        })
    }

    fn current<'a>(
        &'a self,
        shard: &'a ShardId,
    ) -> BoxFuture<'a, Result<Option<(Generation, ManifestHeader)>, SinkError>> {
        self.inner.current(shard)
    }

    fn merges(&self, shard: &ShardId) -> bool {
        self.inner.merges(shard)
    }
}

struct BadStaging {
    inner: Arc<dyn Staging>,
    shard: ShardId,
    bug: Bug,
    store: MemoryStore,
    blocks: Option<BlockStore>,
}

impl fmt::Debug for BadStaging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} in {:?}", self.bug, self.inner)
    }
}

impl BadStaging {
    /// What the store does wrong once the generation is visible.
    fn after_publish(&self) {
        if self.bug == Bug::CorruptsAnEntry {
            self.store.put(&self.shard, garbage(), &b"garbage"[..], Vec::new());
        }
        if self.bug == Bug::MovesThePosition {
            let ahead = Position { log: "wal".to_owned(), epoch: 1, token: b"ahead".to_vec() };
            self.store.set_position(&self.shard, Some(ahead));
        }
    }

    /// One of the series has no tags any more.
    async fn lose_tags(&self) {
        let Some(store) = &self.blocks else { return };
        for block in store.scan(&self.shard, None, usize::MAX).await.unwrap_or_default() {
            let bare = BlockKey::new(block.key.series(), Tags::default(), block.key.start_ms());
            if let (Ok(bare), Some(payload)) = (bare, block.payload) {
                let _ = store.write(&self.shard, &bare, &payload).await;
                return;
            }
        }
    }

    /// Stores blocks, and does without tombstones.
    async fn store_without_deletes(&self, chunks: Vec<VerifiedChunk>) -> Result<(), SinkError> {
        let is_delete = |chunk: &VerifiedChunk| chunk.entry().kind == EntryKind::Tombstone;
        let (deletes, blocks): (Vec<_>, Vec<_>) = chunks.into_iter().partition(is_delete);
        for delete in deletes {
            self.inner.leave_out(delete.entry().ordinal).await?;
        }
        self.inner.store(blocks).await
    }

    /// Shows the whole entries of a batch as a generation of their own.
    async fn publish_now(&self, chunks: &[VerifiedChunk]) -> Result<(), SinkError> {
        let Some(first) = chunks.first() else { return Ok(()) };
        let size = first.chunk_size();
        let whole: Vec<_> = chunks.iter().filter(|chunk| chunk.entry().chunks(size) == 1).collect();
        let entries = whole.iter().map(|chunk| (**chunk.entry()).clone()).collect();
        let frame =
            peerstream_snapshot::listing::Frame { chunk_size: size, position: None, state: Vec::new() };
        let Ok(listing) = Listing::seal(entries, frame) else { return Ok(()) };
        let staging = self.store.stage(&self.shard, &Selector::All, Fence(u64::MAX)).await?;
        staging.begin(listing.header()).await?;
        staging.admit(listing.entries().iter().cloned().map(Arc::new).collect()).await?;
        let mut again = Vec::new();
        for (entry, chunk) in listing.entries().iter().zip(whole) {
            let entry = Arc::new(entry.clone());
            let chunk = VerifiedChunk::check(&entry, size, None, chunk.index(), chunk.bytes().clone());
            again.extend(chunk.ok());
        }
        staging.store(again).await?;
        staging.seal(listing.header()).await?;
        staging.publish().await.map(drop)
    }
}

impl Staging for BadStaging {
    fn begin<'a>(&'a self, header: &'a ManifestHeader) -> BoxFuture<'a, Result<(), SinkError>> {
        self.inner.begin(header)
    }

    fn contribute<'a>(&'a self, header: &'a ManifestHeader) -> BoxFuture<'a, Result<(), SinkError>> {
        self.inner.contribute(header)
    }

    fn admit(&self, entries: Vec<Arc<Entry>>) -> BoxFuture<'_, Result<Vec<Held>, SinkError>> {
        self.inner.admit(entries)
    }

    fn store(&self, chunks: Vec<VerifiedChunk>) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async move {
            if self.bug == Bug::ForgetsDeletes {
                return self.store_without_deletes(chunks).await;
            }
            self.inner.store(chunks.clone()).await?;
            if self.bug == Bug::ShowsGarbage {
                self.store.put(&self.shard, garbage(), &b"garbage"[..], Vec::new());
            }
            if self.bug == Bug::PublishesTooEarly {
                self.publish_now(&chunks).await?;
            }
            Ok(())
        })
    }

    fn leave_out(&self, ordinal: Ordinal) -> BoxFuture<'_, Result<(), SinkError>> {
        self.inner.leave_out(ordinal)
    }

    fn checkpoint(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async move {
            if self.bug == Bug::SkipsCheckpoints {
                return Ok(());
            }
            self.inner.checkpoint().await
        })
    }

    fn seal<'a>(&'a self, header: &'a ManifestHeader) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async move {
            if self.bug == Bug::SpreadsTrouble {
                let broken = std::io::Error::from(std::io::ErrorKind::Other);
                return Err(DiskError::new("write", std::path::Path::new("planted"), &broken).into());
            }
            self.inner.seal(header).await
        })
    }

    fn publish(&self) -> BoxFuture<'_, Result<Generation, SinkError>> {
        Box::pin(async move {
            if self.bug == Bug::PublishesNothing {
                return Ok(Generation(1));
            }
            if self.bug == Bug::HangsAtTheEnd {
                return std::future::pending().await;
            }
            let generation = self.inner.publish().await?;
            self.after_publish();
            if self.bug == Bug::LosesTags {
                self.lose_tags().await;
            }
            Ok(generation)
        })
    }

    fn discard(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        self.inner.discard()
    }
}
