//! Wall time that follows virtual time.

use peerstream_types::WallClock;
use tokio::time::Instant;

/// When every simulation begins, in milliseconds since 1970: 2026-09-21.
pub const STARTS_UNIX_MS: u64 = 1_790_000_000_000;

/// A wall clock that starts at [`STARTS_UNIX_MS`] and runs with tokio's clock.
#[derive(Debug, Clone, Copy)]
pub struct SimWallClock {
    origin: Instant,
}

impl SimWallClock {
    pub(crate) fn start() -> Self {
        Self { origin: Instant::now() }
    }
}

impl WallClock for SimWallClock {
    fn unix_ms(&self) -> u64 {
        STARTS_UNIX_MS + u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX / 2)
    }
}
