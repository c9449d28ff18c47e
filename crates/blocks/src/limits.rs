//! What this crate bounds, and why.

/// Longest id of a series in bytes. Escaped it doubles at most, and with the tags' fingerprint and the
/// block's start it still fits an entry key.
pub const SERIES_ID_LEN_MAX: usize = 480;

/// Longest encoding of the tags of a series in bytes: they travel as the metadata of an entry.
pub const TAGS_LEN_MAX: usize = peerstream_types::entry::METADATA_LEN_MAX;

/// Most tags of a series: what an index can still do something with.
pub const TAGS_MAX: usize = 128;

/// Longest content of a block in bytes, what was merged included: it is merged, hashed and read as a
/// whole, and one read of a snapshot answers no more. Ten of them are kept for a delete, which is so
/// never too long.
pub const BLOCK_LEN_MAX: usize = peerstream_snapshot::limits::READ_LEN_MAX;

/// Most blocks of a shard, tombstones among them: a snapshot lists no more, so it could not be served. A
/// recovery from replicas that differ counts each variant of a block, and takes no more of them either.
pub const BLOCKS_MAX: usize = peerstream_snapshot::limits::ENTRIES_MAX;

/// Longest name of a merge hook in bytes.
pub const HOOK_NAME_LEN_MAX: usize = 64;

/// Most bytes of blocks that wait, half received, for the rest of their chunks: sixteen of the longest.
/// Blocks of one chunk never wait.
pub const PARTIAL_LEN_MAX: u64 = 256 << 20;

/// Most variants of one block in a union: one per source, and more sources than any recovery asks.
pub const VARIANTS_MAX: usize = 256;

/// Digests of merged copies that are remembered per block, so that a copy is not fetched twice: more
/// than there are replicas in any cluster that we know. 32 bytes each.
pub const ABSORBED_MAX: usize = 8;

/// Bytes of merged blocks that are given to the medium in one step: enough that the step is not what a
/// small block costs, little enough that a batch, one longest block included, is held in memory.
pub(crate) const APPLY_LEN: usize = 4 << 20;

/// Longest record of a log in bytes: [`APPLY_LEN`], one longest block more, and their heads.
pub(crate) const LOG_RECORD_LEN_MAX: usize = 64 << 20;

/// Blocks in one step, or one answer of a scan.
pub(crate) const APPLY_BLOCKS: usize = 1024;

/// Bytes of a log that are not worth writing it anew, however little of it still counts.
pub(crate) const LOG_SLACK_LEN: u64 = 1 << 20;
