//! Settings of an engine: plain values with defaults that fit a data centre.

use std::time::Duration;

use peerstream_select::{OwnVote, SourceRules};
use peerstream_types::ByteCount;

/// Settings of an engine.
///
/// # Memory
///
/// What the data path holds at most, whatever the size and number of entries. A *batch* is 256 KiB, or
/// one chunk where chunks are larger.
///
/// | | what | with the defaults |
/// |---|---|---|
/// | each source of a shard that is received, `recovery.sources_max` of them | what was asked for and is not read yet, in the transport: `recovery.window` | 8 MiB, 32 MiB in all |
/// | | two batches for each request: `2 × batch × window / recovery.entry_fetch_bytes` | 4 MiB, 16 MiB in all |
/// | each shard that is received | entries of the pages under way: about `2 × recovery.entries_ahead × 300` bytes | 2.5 MiB |
/// | | outlines: `recovery.outline_values × 32` bytes, for large entries only | 8 MiB |
/// | | of each long listing that is compared with another one: eight pages of that one, shared with it | 10 MiB |
/// | each inventory that is offered and compared | its digest tree: 100 bytes for every 1,280 entries, while it is offered | 8 MiB for 100 million |
/// | each request that is answered, `serves_in_parallel` of them | two batches | 0.5 MiB, 16 MiB in all |
/// | each connection | the transport's send window | 2 MiB |
/// | the node, while it receives | idle buffers | 4 MiB |
///
/// A plan receives `shards_in_parallel` shards at a time. The stores are apart: what they keep of a
/// manifest is theirs to say.
///
/// # Time
///
/// Nothing waits for ever, and no limit depends on the size of what moves (row A17):
///
/// | what | is given up after | |
/// |---|---|---|
/// | a dial | 10 s | the transport's handshake timeout |
/// | a dial and its greeting; a stream and its header | `connect_timeout` | 50 s |
/// | an offer | `recovery.open_timeout` | 600 s |
/// | a source that owes content, the first or the next, and brings nothing | `recovery.no_progress_timeout` | 60 s |
/// | a source that owes nothing but a page, and may be hashing | `recovery.page_timeout` | 600 s |
/// | the comparison of two listings; then they are listed | one minute | |
/// | a listing that follows another one, which stands still; then it is asked for itself | 20 s, three times | |
/// | a receiver that takes nothing of what it asked for | `serve_timeout` | 120 s |
/// | a peer that says nothing at all | twice `session.keep_alive` | 600 s |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineConfig {
    /// Settings of the job of one shard: window, retries, the no-progress timeout.
    pub recovery: peerstream_recovery::Config,
    /// Settings of a session: keep-alive, limits on what a peer may have under way.
    pub session: peerstream_session::Config,
    /// Most shards of one plan, or of one peer's push, that are received at a time. Default 4.
    pub shards_in_parallel: usize,
    /// Most requests of all peers that are answered at a time; more wait. Default 32.
    pub serves_in_parallel: usize,
    /// Most sessions with all peers, both roles; a peer beyond it is told to come back. Default 1,024.
    pub sessions_max: usize,
    /// Most plans that run at a time. Default 256.
    pub plans_max: usize,
    /// How many ended plans are remembered for `status`. Default 64.
    pub plans_remembered: usize,
    /// Most connections that peers may have open. A peer that is let in has two of them for itself, one
    /// per lane, so that half as many peers are served at a time. When all are taken, the peer that has
    /// had no session for longest, and for 2 s at the least, makes room; if there is none, the newcomer is
    /// told to come back. At least 2; default 1,024.
    pub connections_max: usize,
    /// How long a dial may take until the peer has answered Hello. Default 50 s (row F-50).
    pub connect_timeout: Duration,
    /// How often a transfer to a peer is offered again after its session was lost. Default 3.
    pub transfer_attempts: u32,
    /// How long a shutdown waits for sessions under way. Default 10 s.
    pub drain_timeout: Duration,
    /// Bytes of a shard that are stored before they are made durable in the background. After a power
    /// loss at most this much, what was stored while the last checkpoint ran, and the window are
    /// fetched again (promise 2). Less loses less and syncs more often. Default 256 MiB.
    pub checkpoint_bytes: ByteCount,
    /// Longest that stored bytes wait for a checkpoint: bounds the loss of slow transfers. Default 30 s.
    pub checkpoint_interval: Duration,
    /// Whether this node counts itself among the replicas that agree (row F-18). Default: only for data
    /// that it has.
    pub own_vote: OwnVote,
    /// Which of those that the placement names may be sources (row C41). Whom a plan names is asked whatever
    /// they say, and whom they leave out is no replica that level `all` asks for. Default: all.
    pub sources: SourceRules,
    /// How long a peer may take none of what it asked for before its request is given up, so that it
    /// holds neither memory nor one of `serves_in_parallel` for ever. Default 120 s.
    pub serve_timeout: Duration,
    /// What a peer is told to have under way at the most, per session. Default 64 MiB.
    pub peer_bytes_in_flight: ByteCount,
}

impl Default for EngineConfig {
    fn default() -> Self {
        let recovery = peerstream_recovery::Config {
            // A source may have to hash a shard before it can offer it.
            open_timeout: Duration::from_secs(600),
            ..peerstream_recovery::Config::default()
        };
        Self {
            recovery,
            session: peerstream_session::Config::default(),
            shards_in_parallel: 4,
            serves_in_parallel: 32,
            sessions_max: 1024,
            plans_max: 256,
            plans_remembered: 64,
            connections_max: 1024,
            connect_timeout: Duration::from_secs(50),
            transfer_attempts: 3,
            drain_timeout: Duration::from_secs(10),
            checkpoint_bytes: ByteCount::mib(256),
            checkpoint_interval: Duration::from_secs(30),
            own_vote: OwnVote::default(),
            sources: SourceRules::default(),
            serve_timeout: Duration::from_secs(120),
            peer_bytes_in_flight: ByteCount::mib(64),
        }
    }
}
