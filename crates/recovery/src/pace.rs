//! How fast a source gives, by what it gave lately.

use std::time::Duration;

use peerstream_types::Timestamp;

/// What came counts half after between one and two of these: far above the round trip of a long path, and
/// short enough that a source that slows down is found out at once, however long it was fast.
const RECENT: Duration = Duration::from_secs(1);

/// What a source gave in the time in which it owed something, the older the less.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pace {
    bytes: u64,
    owed: Duration,
    /// Since when it owes something, as far as that is not in `owed`.
    since: Option<Timestamp>,
}

impl Pace {
    /// It owes something from now on.
    pub(crate) fn starts(&mut self, now: Timestamp) {
        self.since.get_or_insert(now);
    }

    pub(crate) fn gave(&mut self, now: Timestamp, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        if let Some(since) = self.since.replace(now) {
            self.count(now - since);
        }
    }

    /// It owes nothing any more.
    pub(crate) fn rests(&mut self, now: Timestamp) {
        if let Some(since) = self.since.take() {
            self.count(now - since);
        }
    }

    fn count(&mut self, owed: Duration) {
        self.owed += owed;
        while self.owed > RECENT * 2 {
            self.bytes /= 2;
            self.owed /= 2;
        }
    }

    /// From when on this one, as if it gave the `next` bytes that it owes then, is `times` slower than
    /// another one, which rests. `None` if this one owes nothing, or the other one gave nothing yet.
    pub(crate) fn slow_from(&self, next: u64, other: &Self, times: u32) -> Option<Timestamp> {
        let since = self.since?;
        let (own, others) = (u128::from(self.bytes.saturating_add(next)), u128::from(other.bytes));
        let share = own * other.owed.as_nanos() * u128::from(times) / Some(others).filter(|got| *got > 0)?;
        let share = Duration::from_nanos(u64::try_from(share).unwrap_or(u64::MAX));
        Some(since + share.saturating_sub(self.owed))
    }
}
