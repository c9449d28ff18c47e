//! The one place where the node reads the wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

use peerstream_types::WallClock;

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl WallClock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the WallClock seam's real side")]
    fn unix_ms(&self) -> u64 {
        // A clock before 1970 is broken; certificates say so soon enough.
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
    }
}
