//! Replicas that have nearly the same: one lists all, and of the others only what differs is listed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use peerstream_engine::select::{DigestTree, KeyRange};
use peerstream_engine::snapshot::{
    BoxFuture, Content, MemoryStore, Overlay, Page, Snapshot, Source, SourceError,
};
use peerstream_engine::transport::memory::MemoryNetwork;
use peerstream_engine::types::{
    ByteCount, DatasetKind, Entry, Operation, Ordinal, PageToken, Selector, ShardId,
};
use peerstream_engine::{Dataset, Engine, EngineConfig, PlanOutcome, StreamPlan};

use crate::pair::{REPLICA, engine_among, key, shard, within};
use tokio::sync::Mutex;
use tokio::time::Instant;

const ENTRIES: usize = 20_000;
const DONORS: [(&str, ([u8; 4], u16)); 3] =
    [("donor-1", ([10, 0, 1, 1], 1)), ("donor-2", ([10, 0, 1, 2], 1)), ("donor-3", ([10, 0, 1, 3], 1))];

/// What one page holds at the most, and how many pages all is.
const PAGE: u64 = 4096;
const PAGES: u64 = (ENTRIES as u64).div_ceil(PAGE);
/// More entries than a listing runs ahead of what is fetched.
const GAP: usize = 9_000;
/// Content is looked up in smaller portions than this.
const LOOKED_UP_MAX: u32 = 512;

/// A donor that counts what it lists, and may say something else at first or nothing later.
#[derive(Debug, Clone)]
struct Donor {
    store: MemoryStore,
    /// Pages of the whole listing, also those that its tree is made of.
    pages: Arc<AtomicU64>,
    /// Entries that were listed without their pages.
    listed: Arc<AtomicU64>,
    /// These pages fail.
    fails: std::ops::Range<u64>,
    /// Whose the pages are that its tree is made of.
    poses_as: Option<MemoryStore>,
    /// Its tree is never there.
    has_no_tree: bool,
    /// How long an entry's content takes, one request after the other.
    takes: Duration,
    turn: Arc<Mutex<()>>,
}

#[derive(Debug)]
struct DonorSnapshot {
    inner: Arc<dyn Snapshot>,
    posed: Option<Arc<dyn Snapshot>>,
    donor: Donor,
}

impl Donor {
    /// All entries but these.
    fn without(missing: &[usize]) -> Self {
        let store = MemoryStore::new();
        for at in (0..ENTRIES).filter(|at| !missing.contains(at)) {
            store.put(&shard(), key(&format!("{at:05}")), at.to_be_bytes().to_vec(), Vec::new());
        }
        let (pages, listed) = (Arc::default(), Arc::default());
        Self {
            store,
            pages,
            listed,
            fails: 0..0,
            poses_as: None,
            has_no_tree: false,
            takes: Duration::ZERO,
            turn: Arc::default(),
        }
    }

    fn pages(&self) -> u64 {
        self.pages.load(Ordering::Relaxed)
    }

    fn listed(&self) -> u64 {
        self.listed.load(Ordering::Relaxed)
    }
}

impl Source for Donor {
    fn open<'a>(
        &'a self,
        shard: &'a ShardId,
        selector: &'a Selector,
    ) -> BoxFuture<'a, Result<Arc<dyn Snapshot>, SourceError>> {
        Box::pin(async move {
            let (inner, donor) = (self.store.open(shard, selector).await?, self.clone());
            let posed = match &self.poses_as {
                Some(other) => Some(other.open(shard, selector).await?),
                None => None,
            };
            Ok(Arc::new(DonorSnapshot { inner, posed, donor }) as Arc<dyn Snapshot>)
        })
    }
}

impl Overlay for DonorSnapshot {
    fn under(&self) -> &dyn Snapshot {
        &*self.inner
    }

    fn page<'a>(&'a self, token: &'a PageToken, limit: usize) -> BoxFuture<'a, Result<Page, SourceError>> {
        Box::pin(async move {
            let place = self.donor.pages.fetch_add(1, Ordering::Relaxed);
            if self.donor.has_no_tree && *token == PageToken::START && place > 0 {
                return std::future::pending().await;
            }
            if self.donor.fails.contains(&place) {
                return Err(SourceError::BadToken);
            }
            match self.posed.as_ref().filter(|_| place < PAGES) {
                Some(posed) => posed.page(token, limit).await,
                None => self.inner.page(token, limit).await,
            }
        })
    }

    fn entries(&self, first: Ordinal, count: u32) -> BoxFuture<'_, Result<Vec<Entry>, SourceError>> {
        if count > LOOKED_UP_MAX {
            self.donor.listed.fetch_add(u64::from(count), Ordering::Relaxed);
        }
        self.inner.entries(first, count)
    }

    fn contents(&self, first: Ordinal, count: u32) -> BoxFuture<'_, Result<Vec<Content>, SourceError>> {
        Box::pin(async move {
            let _turn = self.donor.turn.lock().await;
            tokio::time::sleep(self.donor.takes * count).await;
            self.inner.contents(first, count).await
        })
    }
}

struct Group {
    donors: Vec<Donor>,
    sink: MemoryStore,
    _engines: Vec<Engine>,
    replica: Engine,
}

impl Group {
    fn new(donors: Vec<Donor>) -> Self {
        Self::with(donors, EngineConfig::default())
    }

    fn with(donors: Vec<Donor>, config: EngineConfig) -> Self {
        let (network, sink) = (MemoryNetwork::new(), MemoryStore::new());
        let holders = &DONORS[..donors.len()];
        let kind = DatasetKind::Identical;
        let engines = donors.iter().zip(holders).map(|(donor, (name, addr))| {
            let dataset = Dataset { source: Some(Arc::new(donor.clone())), kind, ..Dataset::default() };
            engine_among(&network, name, *addr, dataset, EngineConfig::default(), holders)
        });
        let engines = engines.collect();
        let into = Dataset { sink: Some(Arc::new(sink.clone())), kind, ..Dataset::default() };
        let replica = engine_among(&network, "replica", REPLICA, into, config, holders);
        Self { donors, sink, _engines: engines, replica }
    }

    async fn bring_up(&self) -> PlanOutcome {
        let plan = StreamPlan::new(Operation::Bootstrap).request(shard());
        self.replica.execute(plan).unwrap().await
    }

    /// How many entries were brought here.
    fn brought(&self) -> usize {
        self.sink.published(&shard()).map_or(0, |published| published.entries.len())
    }
}

/// F-05, F-06: what is equal is listed once. The trees of the others take one reading of what they have, and
/// of their listings only the leaves that differ travel; together they have everything.
#[tokio::test(start_paused = true)]
async fn of_nearly_equal_listings_only_what_differs_is_listed() {
    within(async {
        let group = Group::new([&[100][..], &[5000, 5001], &[15_000]].map(Donor::without).to_vec());
        let outcome = group.bring_up().await;
        assert!(outcome.is_completed(), "{outcome:?}");
        assert_eq!(group.brought(), ENTRIES);
        let [first, others @ ..] = group.donors.as_slice() else { panic!("there are three") };
        assert_eq!((first.pages(), first.listed()), (2 * PAGES, 0), "it lists all");
        for other in others {
            assert_eq!(other.pages(), PAGES, "of the others only the trees are made");
            assert!((1..4 * PAGE).contains(&other.listed()), "{}", other.listed());
        }
    })
    .await;
}

/// Whose listing is followed breaks off, so that nothing of it counts: all begin anew.
#[tokio::test(start_paused = true)]
async fn a_listing_that_is_followed_may_break_off() {
    within(async {
        let mut donors = [&[100][..], &[5000, 5001], &[15_000]].map(Donor::without).to_vec();
        donors[0].fails = PAGES + 2..PAGES + 4;
        let group = Group::new(donors);
        let outcome = group.bring_up().await;
        assert!(outcome.is_completed(), "{outcome:?}");
        assert_eq!(group.brought(), ENTRIES);
        let pages: Vec<u64> = group.donors.iter().map(Donor::pages).collect();
        assert_eq!(pages.iter().sum::<u64>(), 6 * PAGES + 4 + PAGES, "one lists all: {pages:?}");
    })
    .await;
}

/// P-49: a tree that is not that of the listing leads nobody astray: the listing does not fit its manifest then,
/// and is asked for entry by entry.
#[tokio::test(start_paused = true)]
async fn a_false_tree_costs_time_and_nothing_else() {
    within(async {
        let mut donors = [&[100][..], &[5000, 5001]].map(Donor::without).to_vec();
        donors[1].poses_as = Some(donors[0].store.clone());
        let group = Group::new(donors);
        let outcome = group.bring_up().await;
        assert!(outcome.is_completed(), "{outcome:?}");
        assert_eq!(group.brought(), ENTRIES);
        assert!(group.donors[1].pages() >= 2 * PAGES, "it was listed after all: {}", group.donors[1].pages());
    })
    .await;
}

/// Short listings are not compared: that would take as long as to list them.
#[tokio::test(start_paused = true)]
async fn a_few_differing_entries_among_most_are_listed_plainly() {
    within(async {
        let every_other: Vec<usize> = (0..ENTRIES).filter(|at| at % 2 == 0).collect();
        let group = Group::new(vec![Donor::without(&[]), Donor::without(&every_other)]);
        let outcome = group.bring_up().await;
        assert!(outcome.is_completed(), "{outcome:?}");
        assert_eq!(group.brought(), ENTRIES);
        assert_eq!(group.donors[1].listed(), 0, "too little is equal to follow the other one");
    })
    .await;
}

/// A tree that never comes holds the listing up for a minute, and is nobody's fault.
#[tokio::test(start_paused = true)]
async fn without_a_tree_in_time_all_is_listed() {
    within(async {
        let mut donors = [&[100][..], &[5000, 5001]].map(Donor::without).to_vec();
        donors[0].has_no_tree = true;
        let group = Group::new(donors);
        let started = Instant::now();
        let outcome = group.bring_up().await;
        assert!(outcome.is_completed(), "{outcome:?}");
        assert_eq!(group.brought(), ENTRIES);
        assert!(started.elapsed() < Duration::from_secs(120), "{:?}", started.elapsed());
        assert_eq!(group.replica.penalties(), [], "nobody did wrong");
    })
    .await;
}

/// The places at which the parts of its tree begin: after a gap between two of them, nothing is left of the
/// one before it that would have to be listed.
async fn leaves(donor: &Donor) -> Vec<usize> {
    let all = donor.store.open(&shard(), &Selector::All).await.unwrap();
    let entries = all.entries(Ordinal(0), ENTRIES as u32).await.unwrap();
    let tree = DigestTree::of(&entries).unwrap();
    let leaves = tree.nodes(0, &KeyRange::default()).expect("few of them");
    leaves.iter().map(|leaf| entries.partition_point(|entry| entry.key < leaf.first)).collect()
}

/// Where only the followed one has many entries, whose content is slow, the one that follows has nothing to
/// give for half an hour. It waits for entries behind the gap, and the other one's listing waits until the gap
/// is filled: one of the two goes ahead, and nobody is blamed for the time.
#[tokio::test(start_paused = true)]
async fn a_long_gap_is_nobodys_fault() {
    within(async {
        let leaves = leaves(&Donor::without(&[])).await;
        let begin = leaves[2];
        let end = *leaves.iter().find(|end| **end - begin.min(**end) > GAP).expect("the listing is longer");
        let missing: Vec<usize> = (begin..end).collect();
        let mut donors = vec![Donor::without(&[]), Donor::without(&missing)];
        donors[0].takes = Duration::from_millis(200);
        let mut config = EngineConfig::default();
        (config.recovery.window, config.recovery.fetch_bytes) = (ByteCount(1600), ByteCount(800));
        config.recovery.entry_fetch_bytes = ByteCount(800);
        let group = Group::with(donors, config);
        let started = Instant::now();
        let outcome = group.bring_up().await;
        assert!(outcome.is_completed(), "{outcome:?}");
        assert_eq!(group.brought(), ENTRIES);
        assert!(started.elapsed() > Duration::from_secs(1800), "it takes its time: {:?}", started.elapsed());
        assert_eq!(group.donors[1].pages(), PAGES.div_ceil(2), "it was compared");
        assert_eq!(group.replica.penalties(), [], "nobody stalled");
    })
    .await;
}
