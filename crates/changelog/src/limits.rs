//! What is bounded, and why.

use peerstream_types::ByteCount;

/// Longest record of any log. A batch may be one record over the reader's limit, so this is what a
/// reader has to be ready for on top of its [`ReadLimits`](crate::ReadLimits). Larger than the
/// largest message of common logs' default settings (1 MiB).
pub const RECORD_LEN_MAX: ByteCount = ByteCount::mib(16);

/// Records of a batch unless the reader says otherwise: the cost of a batch is spread thin, and
/// between two batches a replica commits its position.
pub const BATCH_RECORDS_DEFAULT: u32 = 1024;

/// Bytes of a batch unless the reader says otherwise: two or three of them fit beside the windows of
/// a transfer.
pub const BATCH_BYTES_DEFAULT: ByteCount = ByteCount::mib(4);

/// What a [`MemoryLog`](crate::MemoryLog) keeps unless told otherwise; the oldest records go first.
/// Enough for any test, and no host notices it.
pub const RETAINED_DEFAULT: ByteCount = ByteCount::mib(64);

/// What a record of a [`MemoryLog`](crate::MemoryLog) is charged beyond its own bytes, so that empty
/// records are bounded too.
pub const RECORD_OVERHEAD: ByteCount = ByteCount(64);
