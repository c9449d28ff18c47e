//! What this crate bounds, and why.

/// Most entries of one manifest. Listings and admitted manifests are kept in memory, some 200 bytes
/// an entry, so one shard costs at most about 200 MiB.
pub const ENTRIES_MAX: usize = 1 << 20;

/// Most entries of one catalog, a manifest on disk: some 30 GiB of pages at common key lengths. It
/// costs no memory, but a peer that lists without end has to be stopped somewhere.
#[cfg(feature = "tokio")]
pub(crate) const CATALOG_ENTRIES_MAX: u64 = 1 << 28;

/// Pages of one catalog that are kept decoded: 256 entries each, some 60 KiB at common key lengths,
/// at most 1.5 MiB. Enough for the runs of the streams that one snapshot feeds.
#[cfg(feature = "tokio")]
pub(crate) const CATALOG_PAGES_KEPT: usize = 8;

/// Most bytes that one read of a snapshot answers: the largest chunk. What is larger is asked for
/// in parts, so that a peer cannot make this node allocate more.
pub const READ_LEN_MAX: usize = 16 << 20;

/// Reads and hashes of one snapshot under way at once. Each holds one chunk: 2 MiB at the default
/// chunk size, 128 MiB at the largest.
#[cfg(feature = "tokio")]
pub(crate) const HASH_JOBS: usize = 8;

/// Bytes of one file that one hashing job covers before the next job may take over: large enough
/// that opening the file again costs nothing, small enough that one large file is spread over all
/// jobs.
#[cfg(feature = "tokio")]
pub(crate) const HASH_JOB_LEN: u64 = 8 << 20;

/// Small files that are read and hashed in one go, and most bytes of them: enough that the way to the
/// blocking pool and back is not what a small file costs.
#[cfg(feature = "tokio")]
pub(crate) const HASH_BATCH: usize = 256;

/// Most bytes of the small files that are hashed in one go; a larger one is a batch of its own. With
/// [`HASH_JOBS`], hashing holds 8 MiB at once, or one chunk per job if chunks are larger.
#[cfg(feature = "tokio")]
pub(crate) const HASH_BATCH_LEN: u64 = 1 << 20;

/// Files that are looked for in the hash cache in one go: at most 4 MiB of its buckets, usually some
/// 200 KiB.
#[cfg(feature = "tokio")]
pub(crate) const LOOK_UP_BATCH: usize = 1024;

/// Buckets of the hash cache, 4 KiB and 51 files each: 128 MiB on disk for 1.6 million files.
#[cfg(feature = "tokio")]
pub(crate) const HASH_CACHE_BUCKETS: u64 = 1 << 15;

/// Bytes of outlines that the hash cache keeps: those of 8 TiB of files at the default chunk size.
#[cfg(feature = "tokio")]
pub(crate) const OUTLINES_KEPT_LEN: u64 = 1 << 30;

/// Chaining values that are copied at once: 256 KiB.
#[cfg(feature = "tokio")]
pub(crate) const OUTLINE_RUN: u32 = 8192;

/// Names that a walk holds at once, some 100 bytes each; half of them in the outermost directory,
/// half of what is left in the next. Every list of a directory is a pass over all of its names, so
/// many at a time are needed where a directory has millions.
#[cfg(feature = "tokio")]
pub(crate) const WALK_NAMES_MAX: usize = 1 << 16;

/// Names that are listed at least, however deep the walk is.
#[cfg(feature = "tokio")]
pub(crate) const WALK_NAMES_MIN: usize = 256;

/// Files that are linked, copied or synced at once: enough for a disk to merge the syncs.
#[cfg(feature = "tokio")]
pub(crate) const SYNC_JOBS: usize = 16;

/// Open files that one snapshot or staging keeps for the next read or write. A process has 1,024
/// descriptors by default.
#[cfg(feature = "tokio")]
pub(crate) const OPEN_FILES_MAX: usize = 32;

/// Names that are taken from one of the store's own directories at once: datasets, shards,
/// generations. What lies beyond is left to the next look.
#[cfg(feature = "tokio")]
pub(crate) const NAMES_MAX: usize = 1 << 16;

/// Largest entry that is staged in a pack, in bytes, if it has a single chunk: below it, making a
/// file costs more than writing the bytes twice. (Entries of 200 KiB in packs saved a fifth of the CPU
/// in memory and were a tenth slower on a disk.)
#[cfg(feature = "tokio")]
pub(crate) const PACKED_LEN_MAX: u64 = 64 << 10;

/// Length at which a pack ends and the next begins, in bytes: few files for many entries, and none
/// that a file system has trouble with.
#[cfg(feature = "tokio")]
pub(crate) const PACK_LEN_MAX: u64 = 256 << 20;

/// Most bytes that are written to a pack or read from one at once. Several may be under way.
#[cfg(feature = "tokio")]
pub(crate) const PACK_READ_MAX: u64 = 1 << 20;

/// Bytes between two entries of a pack that are rather read and dropped than skipped with a read of
/// its own.
#[cfg(feature = "tokio")]
pub(crate) const PACK_GAP_MAX: u64 = 16 << 10;

/// Records of a staged manifest that are read at once: 128 KiB.
#[cfg(feature = "tokio")]
pub(crate) const SLOTS_READ: usize = 4096;

/// What a record of what is staged stands for at least, in bytes, when it is decided whether records may
/// wait: with the default lag, 1024 of each kind wait at most, some 200 KiB.
#[cfg(feature = "tokio")]
pub(crate) const RECORD_STANDS_FOR_MIN: u64 = 4 << 10;

/// Entries of one block of a staged manifest: some 100 KiB with usual keys.
#[cfg(feature = "tokio")]
pub(crate) const LOG_BLOCK_ENTRIES: usize = 1024;

/// Longest block of a staged manifest in bytes: every entry with the longest key and the most
/// metadata there may be, rounded up.
#[cfg(feature = "tokio")]
pub(crate) const LOG_BLOCK_LEN_MAX: usize = LOG_BLOCK_ENTRIES * 6144;

/// Manifests that were begun for one staging and are kept to find content by their keys. What the
/// least useful ones had is given up beyond that.
#[cfg(feature = "tokio")]
pub(crate) const ATTEMPTS_MAX: usize = 8;

/// Files that are made durable one by one; for more of them the whole file system is synced.
#[cfg(feature = "tokio")]
pub(crate) const SYNC_EACH_MAX: usize = 32;

/// Contents that are known to be whole without another look, per staging.
#[cfg(feature = "tokio")]
pub(crate) const KNOWN_WHOLE_MAX: usize = 4096;

/// Small files that are made at once when a generation is sealed, and how many bytes they may have.
#[cfg(feature = "tokio")]
pub(crate) const BUILD_FILES: usize = 512;

/// Batches of small files, or larger files, that are made at once when a generation is sealed. Each
/// batch holds [`BUILD_FILES`] files or [`PACK_READ_MAX`] bytes.
#[cfg(feature = "tokio")]
pub(crate) const BUILD_JOBS: usize = 4;
