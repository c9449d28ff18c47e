//! A send window that follows the path: small enough for the cache where the peer is near, twice the
//! bandwidth-delay product where it is far.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::LaneConfig;

/// Shortest time over which a rate is measured: many bursts of acknowledgements.
const MEASURE_MIN: Duration = Duration::from_millis(20);
/// Round trips over which a rate is measured at least.
const MEASURE_ROUND_TRIPS: u32 = 4;
/// Window over bandwidth-delay product: one is in flight, and one is room to see that the path
/// takes more, and to go on while a loss is repaired.
const HEADROOM: u64 = 2;

/// The send window of one connection. It is measured when a writer finds it full, so that bytes
/// taken between two measurements are bytes that the peer acknowledged; a connection whose writers
/// never wait needs no larger one.
#[derive(Debug)]
pub(crate) struct SendWindow {
    connection: quinn::Connection,
    taken: AtomicU64,
    fit: Mutex<Fit>,
}

impl SendWindow {
    pub(crate) fn new(connection: quinn::Connection, lane: &LaneConfig) -> Self {
        let fit = Fit::new(lane, Instant::now(), connection.rtt());
        Self { connection, taken: AtomicU64::new(0), fit: Mutex::new(fit) }
    }

    /// A stream took this many bytes from its writer.
    pub(crate) fn took(&self, bytes: usize) {
        self.taken.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// A stream could not take any.
    pub(crate) fn full(&self) {
        // Nothing in between can panic.
        let mut fit = self.fit.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if fit.is_due(now) {
            let taken = self.taken.load(Ordering::Relaxed);
            if let Some(window) = fit.measure(now, taken, self.connection.rtt()) {
                let remote = self.connection.remote_address();
                tracing::debug!(%remote, window, rate = fit.rate, rtt = ?fit.rtt, "send window");
                self.connection.set_send_window(window);
            }
        }
    }
}

/// The window for the best rate and the shortest round trip that were seen.
#[derive(Debug)]
struct Fit {
    min: u64,
    max: u64,
    window: u64,
    since: Instant,
    taken: u64,
    /// Bytes per second.
    rate: u64,
    rtt: Duration,
}

impl Fit {
    fn new(lane: &LaneConfig, now: Instant, rtt: Duration) -> Self {
        let (min, max) = (lane.send_window.0, lane.send_window_max.0.max(lane.send_window.0));
        Self { min, max, window: min, since: now, taken: 0, rate: 0, rtt }
    }

    fn is_due(&self, now: Instant) -> bool {
        self.min < self.max
            && now.saturating_duration_since(self.since) >= MEASURE_MIN.max(self.rtt * MEASURE_ROUND_TRIPS)
    }

    /// The new window, if it is another one.
    fn measure(&mut self, now: Instant, taken: u64, rtt: Duration) -> Option<u64> {
        let nanos = now.saturating_duration_since(self.since).as_nanos().max(1);
        let rate = u128::from(taken - self.taken) * 1_000_000_000 / nanos;
        self.rate = self.rate.max(u64::try_from(rate).unwrap_or(u64::MAX));
        self.rtt = self.rtt.min(rtt);
        (self.since, self.taken) = (now, taken);
        let product = u128::from(self.rate) * self.rtt.as_nanos() / 1_000_000_000;
        let wanted = u64::try_from(product).unwrap_or(u64::MAX).saturating_mul(HEADROOM);
        let window = wanted.clamp(self.min, self.max);
        (std::mem::replace(&mut self.window, window) != window).then_some(window)
    }
}

#[cfg(test)]
mod tests {
    use peerstream_types::ByteCount;

    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn fit(rtt_ms: u64) -> Fit {
        let lane = LaneConfig { send_window_max: ByteCount::mib(16), ..LaneConfig::bulk() };
        Fit::new(&lane, Instant::now(), Duration::from_millis(rtt_ms))
    }

    /// Runs a path that takes `rate_mib` per second for five seconds; the last window in MiB.
    fn run(fit: &mut Fit, rtt_ms: u64, rate_mib: u64) -> u64 {
        let (start, rtt) = (fit.since, Duration::from_millis(rtt_ms));
        let mut taken = fit.taken;
        for at in (1..=20).map(|n| start + n * Duration::from_millis(250)) {
            assert!(fit.is_due(at));
            // A full window per round trip, unless the path is slower.
            let rate = (fit.window * 1_000 / rtt_ms).min(rate_mib * MIB);
            taken += rate / 4;
            fit.measure(at, taken, rtt);
        }
        fit.window / MIB
    }

    #[tokio::test]
    async fn a_short_path_keeps_the_small_window() {
        assert_eq!(run(&mut fit(1), 1, 1_000), 2);
    }

    /// D11: a long path is filled, and a short one keeps its data in the cache.
    #[tokio::test]
    async fn a_long_path_gets_twice_its_product_and_no_more_than_the_limit() {
        let mut long = fit(20);
        assert_eq!(run(&mut long, 20, 200), 8);
        assert_eq!(run(&mut long, 20, 10_000), 16);
    }

    /// A queue of our own making lengthens the round trip, but is no reason for a larger queue.
    #[tokio::test]
    async fn the_shortest_round_trip_counts() {
        let mut fit = fit(1);
        run(&mut fit, 8, 1_000);
        assert_eq!(fit.window, 2 * MIB);
    }

    /// What a busy handshake measured too long is corrected.
    #[tokio::test]
    async fn the_window_shrinks_again_when_the_path_turns_out_short() {
        let mut fit = fit(50);
        run(&mut fit, 50, 100);
        assert!(fit.window > 4 * MIB);
        assert_eq!(run(&mut fit, 1, 100), 2);
    }

    #[tokio::test]
    async fn a_window_without_room_is_never_measured() {
        let fit = Fit::new(&LaneConfig::control(), Instant::now(), Duration::ZERO);
        assert!(!fit.is_due(Instant::now() + Duration::from_secs(10)));
    }
}
