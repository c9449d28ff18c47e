//! Random histories of a few replicas: what is written, deleted, forgotten, emptied and recovered in any
//! order, recoveries cut into steps that others come between.

use std::collections::BTreeSet;
use std::sync::Arc;

use peerstream_blocks::{BlockOptions, BlockStore, SeriesUnion, Stamp};
use peerstream_snapshot::{Fence, Sink, SinkError, Staging};
use peerstream_types::Selector;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::common::{Offer, Union, key, points, shard};

const REPLICAS: usize = 3;
const KEYS: i64 = 2;

/// What happens next at one replica.
#[derive(Debug, Clone)]
enum Step {
    /// A write of a block that is so late.
    Write(i64, u64),
    Delete(i64),
    /// A delete that was made elsewhere comes by the host's own way.
    Hear(prop::sample::Index),
    /// The host says up to where all deletes have come.
    Synced,
    Purge,
    Clear,
    Create,
    /// A recovery from one source or more begins.
    Begin([bool; REPLICAS]),
    /// Its next entry comes, or is left out.
    Entry(bool),
    /// The rest comes, and is published.
    Publish,
    /// All of it at once, with its first entry or without.
    Repair([bool; REPLICAS], bool),
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let block = 0..KEYS;
    let lag = prop::sample::select(vec![0u64, 0, 35, 75, 155]);
    let sources = || prop::array::uniform(prop::bool::weighted(0.6));
    let leave_out = || prop::bool::weighted(0.15);
    let step = prop_oneof![
        6 => (block.clone(), lag).prop_map(|(block, lag)| Step::Write(block, lag)),
        2 => block.prop_map(Step::Delete),
        2 => any::<prop::sample::Index>().prop_map(Step::Hear),
        3 => Just(Step::Synced),
        4 => Just(Step::Purge),
        1 => Just(Step::Clear),
        1 => Just(Step::Create),
        3 => sources().prop_map(Step::Begin),
        3 => leave_out().prop_map(Step::Entry),
        2 => Just(Step::Publish),
        8 => (sources(), leave_out()).prop_map(|(sources, leave_out)| Step::Repair(sources, leave_out)),
    ];
    prop::collection::vec((0..REPLICAS, step), 20..60)
}

/// Deletes: of which block, at which stamp.
type Deletes = BTreeSet<(i64, u64)>;

/// A recovery under way.
struct Recovery {
    staging: Arc<dyn Staging>,
    offers: Vec<Offer>,
    /// What its sources knew when they were opened.
    known: Deletes,
    next: usize,
    is_whole: bool,
}

impl Recovery {
    async fn begin(store: &BlockStore, offers: Vec<Offer>, known: Deletes) -> Result<Self, SinkError> {
        let staging = store.stage(&shard(), &Selector::All, Fence(1)).await?;
        staging.begin(&offers[0].header).await?;
        for offer in &offers[1..] {
            staging.contribute(&offer.header).await?;
        }
        let entries = Union::of(&offers).entries.iter().map(|(numbered, ..)| numbered.clone()).collect();
        staging.admit(entries).await?;
        Ok(Self { staging, offers, known, next: 0, is_whole: true })
    }

    /// Answers whether there was another entry.
    async fn entry(&mut self, leave_out: bool) -> Result<bool, SinkError> {
        let union = Union::of(&self.offers);
        let Some((numbered, source, entry)) = union.entries.get(self.next) else { return Ok(false) };
        self.next += 1;
        if leave_out {
            self.is_whole = false;
            self.staging.leave_out(numbered.ordinal).await?;
        } else {
            self.staging.store(self.offers[*source].chunks(entry, numbered).await).await?;
        }
        Ok(true)
    }

    async fn publish(&mut self) -> Result<(), SinkError> {
        while self.entry(false).await? {}
        let header = Union::of(&self.offers).header();
        self.staging.seal(&header).await?;
        self.staging.publish().await.map(drop)
    }
}

/// The replicas, and what a perfect observer knows.
struct World {
    stores: Vec<BlockStore>,
    recoveries: Vec<Option<Recovery>>,
    /// Per replica: the deletes that came to it, were it in a recovery.
    known: Vec<Deletes>,
    deletes: Vec<(i64, u64)>,
    now: u64,
}

impl World {
    async fn new() -> Self {
        let options = || BlockOptions { horizon: 5, ..BlockOptions::new(SeriesUnion) };
        let stores: Vec<_> = (0..REPLICAS).map(|_| BlockStore::in_memory(options())).collect();
        for store in &stores[1..] {
            store.create(&shard()).await.unwrap();
        }
        let (recoveries, known) = (stores.iter().map(|_| None).collect(), vec![Deletes::new(); REPLICAS]);
        Self { stores, recoveries, known, deletes: Vec::new(), now: 200 }
    }

    async fn take(&mut self, at: usize, step: &Step) {
        self.now += 10;
        let store = &self.stores[at];
        match *step {
            Step::Write(block, lag) => {
                let stamp = self.now - lag;
                let points = points(stamp, &[(stamp as i64, "w")]);
                // One that a forgotten delete could have covered is refused.
                drop(store.write(&shard(), &key("cpu", block), &points).await);
            }
            Step::Delete(block) => {
                self.deletes.push((block, self.now));
                self.delete(at, (block, self.now)).await;
            }
            Step::Hear(_) if self.deletes.is_empty() => {}
            Step::Hear(delete) => self.delete(at, *delete.get(&self.deletes)).await,
            Step::Synced => {
                let missed = self.deletes.iter().filter(|delete| !self.known[at].contains(delete));
                let stamp = missed.map(|(_, stamp)| stamp - 1).min().unwrap_or(self.now);
                store.mark_synced(&shard(), Stamp(stamp)).await.unwrap();
            }
            Step::Purge => drop(store.purge(&shard(), Stamp(self.now)).await),
            Step::Clear => {
                store.clear(&shard()).await.unwrap();
                self.known[at].clear();
            }
            Step::Create => store.create(&shard()).await.unwrap(),
            Step::Begin(sources) => self.begin(at, sources).await,
            Step::Entry(leave_out) => self.entry(at, leave_out).await,
            Step::Publish => self.publish(at).await,
            Step::Repair(sources, leave_out) => {
                self.begin(at, sources).await;
                if leave_out {
                    self.entry(at, leave_out).await;
                }
                self.publish(at).await;
            }
        }
    }

    async fn entry(&mut self, at: usize, leave_out: bool) {
        if let Some(mut recovery) = self.recoveries[at].take()
            && recovery.entry(leave_out).await.is_ok()
        {
            self.recoveries[at] = Some(recovery);
        }
    }

    async fn publish(&mut self, at: usize) {
        if let Some(mut recovery) = self.recoveries[at].take()
            && recovery.publish().await.is_ok()
            && recovery.is_whole
        {
            self.known[at].append(&mut recovery.known);
        }
    }

    async fn delete(&mut self, at: usize, (block, stamp): (i64, u64)) {
        self.stores[at].delete(&shard(), &key("cpu", block), Stamp(stamp)).await.unwrap();
        self.known[at].insert((block, stamp));
    }

    async fn begin(&mut self, at: usize, sources: [bool; REPLICAS]) {
        let (mut offers, mut known) = (Vec::new(), Deletes::new());
        for source in (0..REPLICAS).filter(|source| sources[*source] && *source != at) {
            if self.stores[source].is_ready(&shard()).await.unwrap() {
                offers.push(Offer::of(&self.stores[source]).await);
                known.extend(&self.known[source]);
            }
        }
        if !offers.is_empty() {
            self.recoveries[at] = Recovery::begin(&self.stores[at], offers, known).await.ok();
        }
    }

    /// No replica shows what is under a delete that has come to it.
    async fn check(&self) -> Result<(), TestCaseError> {
        for (at, store) in self.stores.iter().enumerate() {
            for block in 0..KEYS {
                let deletes = self.known[at].iter().filter(|(of, _)| *of == block);
                let Some(last) = deletes.map(|(_, stamp)| *stamp).max() else { continue };
                let found = store.read(&shard(), &key("cpu", block)).await.unwrap();
                let Some(payload) = found.and_then(|block| block.payload) else { continue };
                let oldest = SeriesUnion::decode(&payload).unwrap().iter().map(|point| point.stamp.0).min();
                prop_assert!(oldest > Some(last), "replica {at}, block {block}: {oldest:?} is back, {last}");
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        rng_seed: RngSeed::Fixed(5),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// A delete that has come to a replica, directly or with a recovery that was published whole, is never
    /// undone there: not by late writes, not by a recovery, whatever was forgotten where.
    #[test]
    fn no_delete_is_ever_undone(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new().await;
            for (at, step) in &steps {
                world.take(*at, step).await;
                world.check().await?;
            }
            Ok::<_, TestCaseError>(())
        })?;
    }
}
