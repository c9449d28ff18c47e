//! How a directory store is set up.

use std::sync::Arc;
use std::time::Duration;

use super::hook::PublishHook;
use super::room::Room;

/// What a [`DirectoryStore`](super::DirectoryStore) does beyond what every store does. The default
/// is right for most.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// How much of the disk may be filled; `None` skips the check. Default: all but 50 MiB and 5 %.
    pub room: Option<Room>,
    /// How much staged content is kept for how long. Default: seven days, whatever its size.
    pub budget: Budget,
    /// Whether the host promises never to change a published file in place. Then a generation shares
    /// files with the one before where they are equal (hard links), which costs neither time nor
    /// room. Otherwise they are copied (or share blocks, where the file system copies on write).
    /// Default: no.
    pub immutable: bool,
    /// What the host does when a generation becomes visible. Default: nothing.
    pub hook: Option<Arc<dyn PublishHook>>,
    /// How many bytes of a shard may be stored before it is written down that they are, of small entries
    /// and of larger ones each: twice this has to come again, at most, after the end of a process that had
    /// no time for a checkpoint. With zero, nothing has to, and every call of
    /// [`store`](crate::Staging::store) is a write more. Default: 4 MiB, little beside what is in flight on
    /// a fast path.
    pub lag: u64,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            room: Some(Room::default()),
            budget: Budget::default(),
            immutable: false,
            hook: None,
            lag: 4 << 20,
        }
    }
}

/// What bounds staged content that nobody works on, over all shards of a store. See
/// [`DirectoryStore::clean`](super::DirectoryStore::clean).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Longest time since something was last written to it. Default: seven days.
    pub age: Duration,
    /// Most bytes of all of it; the oldest goes first. Default: no limit.
    pub bytes: Option<u64>,
}

impl Default for Budget {
    fn default() -> Self {
        Self { age: Duration::from_secs(7 * 24 * 3600), bytes: None }
    }
}
