//! Every bound of the protocol, with unit and reason. `docs/protocol.md` shows the same table, and
//! a test holds the two together.

/// Longest Hello frame in bytes: the first thing that a stranger may send, so it is small.
pub const HELLO_FRAME_MAX: usize = 4 * 1024;
/// Longest ordinary control frame in bytes: a thousand spans or a page of requests fit, and one
/// frame never holds up the next for long.
pub const CONTROL_FRAME_MAX: usize = 64 * 1024;
/// Longest Prepare or `PrepareAck` frame in bytes: offers carry opaque store state of up to 64 KiB.
pub const PREPARE_FRAME_MAX: usize = 1024 * 1024;
/// Longest inventory page frame in bytes: the unit of memory of a listing.
pub const PAGE_FRAME_MAX: usize = 1024 * 1024;
/// Longest header frame of a data stream in bytes.
pub const DATA_HEADER_FRAME_MAX: usize = 4 * 1024;
/// Most entries of one inventory page (row F-03).
pub const PAGE_ENTRIES_MAX: usize = 4096;
/// Most nodes of one answer about a digest tree, and most children of a node: 300 KiB.
pub const TREE_NODES_MAX: usize = 256;
/// Most requests, offers or refusals of one Prepare page; more come on further pages.
pub const PREPARE_ITEMS_MAX: usize = 128;
/// Most Prepare pages of one session and direction: 8,192 shards.
pub const PREPARE_PAGES_MAX: u32 = 64;
/// Most keys of one entry selector.
pub const SELECTOR_KEYS_MAX: usize = 256;
/// Most spans of one Fetch, Received, Release or Have.
pub const SPANS_MAX: usize = 1024;
/// Most chaining values of one `OutlineRequest`: all groups of the longest entry, 2 MiB of answer.
pub const OUTLINE_VALUES_MAX: u32 = 65_536;
/// Longest payload of one record in bytes: one chunk of the largest size.
pub const RECORD_LEN_MAX: u32 = 16 * 1024 * 1024;
/// Longest human-readable reason in bytes.
pub const REASON_LEN_MAX: usize = 1024;
/// Longest trace context in bytes (W3C traceparent is 55).
pub const TRACE_LEN_MAX: usize = 64;
/// Most extensions of one message.
pub const EXTENSIONS_MAX: usize = 16;
/// Longest value of one extension in bytes.
pub const EXTENSION_LEN_MAX: usize = 1024;
/// Longest wait that a peer may ask for, in milliseconds: an hour.
pub const RETRY_AFTER_MS_MAX: u64 = 3_600_000;

/// The table of limits: name and value, in the order of `docs/protocol.md`.
pub const TABLE: [(&str, u64); 18] = [
    ("HELLO_FRAME_MAX", HELLO_FRAME_MAX as u64),
    ("CONTROL_FRAME_MAX", CONTROL_FRAME_MAX as u64),
    ("PREPARE_FRAME_MAX", PREPARE_FRAME_MAX as u64),
    ("PAGE_FRAME_MAX", PAGE_FRAME_MAX as u64),
    ("DATA_HEADER_FRAME_MAX", DATA_HEADER_FRAME_MAX as u64),
    ("PAGE_ENTRIES_MAX", PAGE_ENTRIES_MAX as u64),
    ("TREE_NODES_MAX", TREE_NODES_MAX as u64),
    ("PREPARE_ITEMS_MAX", PREPARE_ITEMS_MAX as u64),
    ("PREPARE_PAGES_MAX", PREPARE_PAGES_MAX as u64),
    ("SELECTOR_KEYS_MAX", SELECTOR_KEYS_MAX as u64),
    ("SPANS_MAX", SPANS_MAX as u64),
    ("OUTLINE_VALUES_MAX", OUTLINE_VALUES_MAX as u64),
    ("RECORD_LEN_MAX", RECORD_LEN_MAX as u64),
    ("REASON_LEN_MAX", REASON_LEN_MAX as u64),
    ("TRACE_LEN_MAX", TRACE_LEN_MAX as u64),
    ("EXTENSIONS_MAX", EXTENSIONS_MAX as u64),
    ("EXTENSION_LEN_MAX", EXTENSION_LEN_MAX as u64),
    ("RETRY_AFTER_MS_MAX", RETRY_AFTER_MS_MAX),
];
