//! tokio's clock as timestamps.

use peerstream_types::Timestamp;
use tokio::time::Instant;

/// Turns tokio's clock into the timestamps that pure crates take. Follows a paused clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { origin: Instant::now() }
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_duration(self.origin.elapsed())
    }

    /// Waits until a moment; for ever if there is none. Cancel safe.
    pub(crate) async fn sleep_until(&self, at: Option<Timestamp>) {
        match at {
            Some(at) => tokio::time::sleep_until(self.origin + at.since_origin()).await,
            None => std::future::pending().await,
        }
    }
}
