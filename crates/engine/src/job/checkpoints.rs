//! When a job makes durable what it has stored, while the transfer goes on.

use std::time::Duration;

use peerstream_types::{ByteCount, Timestamp};

/// What was stored and is not on its way to being durable. One checkpoint at a time: what is stored
/// while it runs waits for the next.
#[derive(Debug)]
pub(super) struct Checkpoints {
    every: ByteCount,
    interval: Duration,
    bytes: u64,
    /// When the first of these bytes was stored.
    since: Option<Timestamp>,
    is_running: bool,
}

impl Checkpoints {
    pub(super) fn new(every: ByteCount, interval: Duration) -> Self {
        Self { every, interval, bytes: 0, since: None, is_running: false }
    }

    pub(super) fn stored(&mut self, now: Timestamp, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.since.get_or_insert(now);
    }

    /// When the next one is due: already if enough was stored, otherwise some time after the first
    /// byte; `None` if nothing was stored, or one is running.
    pub(super) fn due(&self) -> Option<Timestamp> {
        let since = self.since.filter(|_| !self.is_running)?;
        Some(if self.bytes >= self.every.0 { since } else { since + self.interval })
    }

    /// Begins one, if it is due.
    pub(super) fn begin(&mut self, now: Timestamp) -> bool {
        let is_due = self.due().is_some_and(|due| due <= now);
        if is_due {
            (self.bytes, self.since, self.is_running) = (0, None, true);
        }
        is_due
    }

    pub(super) fn ended(&mut self) {
        self.is_running = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_by_bytes_or_by_time() {
        let at = Timestamp::from_millis;
        let mut checkpoints = Checkpoints::new(ByteCount(100), Duration::from_millis(30));
        assert_eq!(checkpoints.due(), None);
        checkpoints.stored(at(5), 99);
        assert_eq!((checkpoints.due(), checkpoints.begin(at(34))), (Some(at(35)), false));
        checkpoints.stored(at(6), 1);
        assert!(checkpoints.begin(at(6)));
        checkpoints.stored(at(7), 1000);
        assert_eq!((checkpoints.due(), checkpoints.begin(at(99))), (None, false), "one is running");
        checkpoints.ended();
        assert!(checkpoints.begin(at(8)));
        checkpoints.ended();
        checkpoints.stored(at(10), 1);
        assert!(!checkpoints.begin(at(39)) && checkpoints.begin(at(40)));
    }
}
