//! What a job is told: the shard, its candidates, and settings; and the limits that are not settings.

use std::sync::Arc;
use std::time::Duration;

use peerstream_types::{ByteCount, NodeId, Selector, ShardId};

use crate::{Agreement, BackOff, Candidate, EqualPositions, Misuse, PositionOrder};

/// Most candidates of one job: far above any replication factor, small enough that a report names
/// them all.
pub const CANDIDATES_MAX: usize = 256;
/// Most entries of one page. The wire allows fewer; this is what bounds the job if a driver does not.
pub const PAGE_ENTRIES_MAX: usize = 65_536;
/// Most gaps that an outcome lists; the others are counted. Enough to see a pattern at night.
pub const GAPS_LISTED_MAX: usize = 64;
/// Most keys that a finding lists; the others are counted.
pub const KEYS_LISTED_MAX: usize = 64;
/// Most missing entries that a job does without at level `none`: eight bytes each. Where more is missing, it
/// ends incomplete, and nothing is published.
pub const DROPPED_MAX: usize = 65_536;
/// Most characters that are kept of a text that came from a peer or the store.
pub const TEXT_LEN_MAX: usize = 256;
/// Most attempts at one peer in one job, also if each of them made progress: a peer that offers
/// something new every time must not keep a job going for ever.
pub const OPENS_TOTAL_MAX: u32 = 256;
/// Longest wait that a peer can ask for. Beyond that it is a peer that does not serve.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// What is to be brought up, and who may have it.
#[derive(Debug, Clone)]
pub struct Job {
    /// The shard.
    pub shard: ShardId,
    /// Which part of it.
    pub selector: Selector,
    /// The peers to ask. At most [`CANDIDATES_MAX`]; repeats are dropped.
    pub candidates: Vec<Candidate>,
    /// How many of them have to say the same. Default: the word of one.
    pub agreement: Agreement,
    /// Compares the positions of snapshots that are put together. Default [`EqualPositions`]
    /// (crate::EqualPositions).
    pub positions: Arc<dyn PositionOrder>,
}

impl Job {
    /// A job that takes the word of one source. The peers are asked in this order.
    pub fn new(shard: ShardId, selector: Selector, candidates: Vec<NodeId>) -> Self {
        let candidates = Candidate::in_order(candidates);
        let (agreement, positions) = (Agreement::default(), Arc::new(EqualPositions));
        Self { shard, selector, candidates, agreement, positions }
    }
}

/// Settings of a job. Plain values with defaults that fit a data centre.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Most bytes asked for and not yet answered, per source. Memory in flight and the loss of a
    /// crash are this much; at least bandwidth times round trip, or the path is not filled. On short
    /// paths less is faster, because it stays in the cache. At least one chunk is always asked for.
    /// Default 8 MiB: 80 MiB/s at a round trip of 100 ms.
    pub window: ByteCount,
    /// Most bytes of one fetch; at least one chunk. Smaller spreads faults and progress finer, larger
    /// costs fewer messages. A source is asked again when this much of the window is free. Default
    /// 4 MiB.
    pub fetch_bytes: ByteCount,
    /// Most bytes of one fetch that begins with an entry of one chunk; never more than `fetch_bytes`.
    /// Smaller ones keep more of them under way, so that the store and the source work on several
    /// batches at once. Default 1 MiB.
    pub entry_fetch_bytes: ByteCount,
    /// Most spans of one fetch, so that the request fits a control frame. Default 256.
    pub fetch_spans: u32,
    /// The next page is asked for while fewer unfinished entries than this are known. Memory is about
    /// this plus one page of entries. Default 4,096.
    pub entries_ahead: u32,
    /// Most chaining values that the driver must keep at a time, 32 bytes each; the next top, or the
    /// next group, is always allowed if nothing else is under way. More lets more entries of many
    /// chunks be under way at once. Default 262,144 (8 MiB): four of the largest tops there are.
    pub outline_values: u64,
    /// A source that owes content and has brought no chunk, page or outline for this long has stalled
    /// and is replaced (row F-50). A slow source that moves is not stalled. Default 60 s.
    pub no_progress_timeout: Duration,
    /// The same for a source that owes nothing but a page: it may be hashing a large entry that goes on
    /// it. Default 10 minutes, in which a slow disk reads 60 GiB.
    pub page_timeout: Duration,
    /// How long a peer may take from dial to offer. Default 50 s.
    pub open_timeout: Duration,
    /// How long the rest of the replicas is waited for once enough have offered and do not agree, or, at
    /// level `none`, once one has offered what others may add to. What comes later takes part only if it
    /// has a manifest that is in use, and there is room. Default 5 s.
    pub compare_wait: Duration,
    /// How long the whole job may take up to the publish; `None` is no limit. Default none: a large
    /// shard may take days, and the no-progress timeout ends what does not move.
    pub overall_limit: Option<Duration>,
    /// How often one item (a chunk, a small entry, an outline, a page) is asked of one source before
    /// it is left to the next (row F-11). Default 2.
    pub attempts_per_source: u32,
    /// How often in a row one peer is tried without a single chunk coming from it. Default 3. A peer
    /// that brought something is tried again, up to [`OPENS_TOTAL_MAX`] times in all.
    pub opens_per_peer: u32,
    /// Waits between attempts at one peer (row F-12). Default 2 s, doubled up to 30 s.
    pub back_off: BackOff,
    /// Most sources that serve at once, more only if more unequal manifests than this are joined. One
    /// lists; others join if they offer the same sealed manifest. Every one costs a session and a snapshot
    /// at the peer; all of them together have so many windows. Default 4.
    pub sources_max: u32,
    /// While less than this is left of a shard, nobody joins: a session costs more than it brings.
    /// Default 32 MiB, which one source gives in less than half a second on a fast network.
    pub join_from: ByteCount,
    /// Most bytes that one job asks of a second source while a slow one still owes them, in thousandths of
    /// the shard, as far as that is listed where no sealed manifest says it: what the last moments of a slow
    /// source may cost. Default 10; 0 for none.
    pub twice_per_mille: u32,
    /// Seed of the jitter. Give each job another one, or nodes that start together retry together.
    /// Default 0.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            window: ByteCount::mib(8),
            fetch_bytes: ByteCount::mib(4),
            entry_fetch_bytes: ByteCount::mib(1),
            fetch_spans: 256,
            entries_ahead: 4096,
            outline_values: 262_144,
            no_progress_timeout: Duration::from_secs(60),
            page_timeout: Duration::from_secs(600),
            open_timeout: Duration::from_secs(50),
            compare_wait: Duration::from_secs(5),
            overall_limit: None,
            attempts_per_source: 2,
            opens_per_peer: 3,
            back_off: BackOff::default(),
            sources_max: 4,
            join_from: ByteCount::mib(32),
            twice_per_mille: 10,
            seed: 0,
        }
    }
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), Misuse> {
        let zero = [
            ("window", self.window.0 == 0),
            ("fetch_bytes", self.fetch_bytes.0 == 0),
            ("entry_fetch_bytes", self.entry_fetch_bytes.0 == 0),
            ("fetch_spans", self.fetch_spans == 0),
            ("entries_ahead", self.entries_ahead == 0),
            ("no_progress_timeout", self.no_progress_timeout.is_zero()),
            ("page_timeout", self.page_timeout.is_zero()),
            ("open_timeout", self.open_timeout.is_zero()),
            ("overall_limit", self.overall_limit.is_some_and(|limit| limit.is_zero())),
            ("attempts_per_source", self.attempts_per_source == 0),
            ("opens_per_peer", self.opens_per_peer == 0),
            ("sources_max", self.sources_max == 0),
            ("back_off.first", self.back_off.first.is_zero()),
            ("back_off.cap", self.back_off.cap.is_zero()),
        ];
        match zero.into_iter().find(|(_, is_zero)| *is_zero) {
            Some((name, _)) => Err(Misuse::ZeroSetting(name)),
            None => Ok(()),
        }
    }
}

/// Keeps a text short: it may come from a peer.
pub(crate) fn clip(text: &str) -> String {
    text.chars().take(TEXT_LEN_MAX).collect()
}
