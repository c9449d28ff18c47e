//! Room is reserved before bytes move: a shard that cannot fit is refused at once, with figures, and
//! not when the disk is full.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use peerstream_types::ShardId;

use crate::{Disk, SinkError};

/// How much of a disk a store may fill (row C29).
///
/// Needed is what is missing of everything that was admitted, over all shards that are under way,
/// entries that wait in packs twice (once there, once as a file); and what the header announces
/// beyond that, once. Allowed is `(free - keep_free) * usable_permille / 1000`.
///
/// If the disk cannot tell how much is free, nothing is refused: the check saves time, and a disk
/// that is full says so by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes that are never used. Default 50 MiB: logs and other processes go on.
    pub keep_free: u64,
    /// Share of the rest that may be used, in thousandths. Default 950: what a file system needs for
    /// itself.
    pub usable_permille: u16,
}

impl Default for Room {
    fn default() -> Self {
        Self { keep_free: 50 << 20, usable_permille: 950 }
    }
}

impl Room {
    /// How much of `free` bytes may be used.
    #[must_use]
    pub fn usable(&self, free: u64) -> u64 {
        let rest = u128::from(free.saturating_sub(self.keep_free));
        u64::try_from(rest * u128::from(self.usable_permille) / 1000).unwrap_or(u64::MAX)
    }
}

/// What the shards of a store have reserved.
#[derive(Debug)]
pub(super) struct Ledger {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    room: Option<Room>,
    reserved: Mutex<Reserved>,
}

#[derive(Debug, Default)]
struct Reserved {
    next: u64,
    bytes: BTreeMap<u64, u64>,
}

/// What one manifest has reserved; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    ledger: Arc<Ledger>,
    shard: ShardId,
    id: u64,
}

impl Ledger {
    pub(super) fn new(disk: Arc<dyn Disk>, root: PathBuf, room: Option<Room>) -> Self {
        Self { disk, root, room, reserved: Mutex::default() }
    }

    /// Nothing is reserved yet.
    pub(super) fn reservation(self: &Arc<Self>, shard: ShardId) -> Reservation {
        let mut reserved = self.lock();
        reserved.next += 1;
        let id = reserved.next;
        reserved.bytes.insert(id, 0);
        drop(reserved);
        Reservation { ledger: self.clone(), shard, id }
    }

    fn lock(&self) -> MutexGuard<'_, Reserved> {
        self.reserved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reservation {
    /// Reserves `add` bytes and gives back `drop`, if there is room. Nothing that adds nothing is
    /// refused.
    pub(super) async fn exchange(&self, drop: u64, add: u64) -> Result<(), SinkError> {
        let Some(room) = self.ledger.room else { return Ok(()) };
        let free = self.ledger.disk.space(&self.ledger.root).await.map_or(u64::MAX, |space| space.free);
        let reserve = if free == u64::MAX { 0 } else { free - room.usable(free) };
        let mut reserved = self.ledger.lock();
        let own = reserved.bytes.get(&self.id).copied().unwrap_or(0);
        let own = own.saturating_sub(drop).saturating_add(add);
        let others = reserved.bytes.iter().filter(|(id, _)| **id != self.id);
        let needed = others.fold(own, |sum, (_, bytes)| sum.saturating_add(*bytes));
        if add > 0 && needed > free - reserve {
            return Err(SinkError::NoRoom { shard: self.shard.clone(), needed, free, reserve });
        }
        reserved.bytes.insert(self.id, own);
        Ok(())
    }

    /// Bytes were written, or are not needed any more.
    pub(super) fn give_back(&self, bytes: u64) {
        if let Some(reserved) = self.ledger.lock().bytes.get_mut(&self.id) {
            *reserved = reserved.saturating_sub(bytes);
        }
    }

    /// Nothing is needed any more.
    pub(super) fn give_back_all(&self) {
        self.give_back(u64::MAX);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.ledger.lock().bytes.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C29: the fixture of the original. Three shares of 111 bytes fit 334 bytes, not 332.
    #[test]
    fn what_is_usable_follows_the_formula() {
        let all = Room { keep_free: 0, usable_permille: 1000 };
        assert!(333 <= all.usable(334));
        assert!(333 > all.usable(332));
        let default = Room::default();
        assert_eq!(default.usable(50 << 20), 0);
        assert_eq!(default.usable((50 << 20) + 1000), 950);
        assert_eq!(default.usable(u64::MAX), ((u128::from(u64::MAX) - (50 << 20)) * 95 / 100) as u64);
    }
}
