//! Wall time that follows virtual time, right or wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use peerstream_types::WallClock;
use tokio::time::Instant;

use crate::fault::{Effect, Tally};

/// When every simulation begins, in milliseconds since 1970: 2026-09-21.
pub const STARTS_UNIX_MS: u64 = 1_790_000_000_000;

/// A wall clock that starts at [`STARTS_UNIX_MS`] and runs with tokio's clock. One of a node may be
/// wrong by a fixed time. Clones are the same clock.
#[derive(Debug, Clone)]
pub struct SimWallClock {
    origin: Instant,
    offset_ms: Arc<AtomicI64>,
    tally: Tally,
}

impl SimWallClock {
    pub(crate) fn start() -> Self {
        Self { origin: Instant::now(), offset_ms: Arc::default(), tally: Tally::default() }
    }

    /// Another clock, which is right.
    pub(crate) fn another(&self, tally: Tally) -> Self {
        Self { origin: self.origin, offset_ms: Arc::default(), tally }
    }

    /// How wrong it is: behind, if negative.
    pub(crate) fn offset_ms(&self) -> i64 {
        self.offset_ms.load(Ordering::Relaxed)
    }

    /// Puts the clock wrong: behind, if negative.
    pub(crate) fn set_offset_ms(&self, offset: i64) {
        self.offset_ms.store(offset, Ordering::Relaxed);
    }

    /// What a clock shows that is right.
    pub(crate) fn true_unix_ms(&self) -> u64 {
        STARTS_UNIX_MS + u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX / 2)
    }
}

impl WallClock for SimWallClock {
    fn unix_ms(&self) -> u64 {
        let offset = self.offset_ms();
        if offset != 0 {
            self.tally.hit(Effect::WrongTime);
        }
        self.true_unix_ms().saturating_add_signed(offset)
    }
}
