//! What carries one thing after another, and how long that takes.

use std::time::Duration;

use peerstream_types::{ByteCount, ByteRate};
use tokio::time::Instant;

use crate::network::{LinkSpec, time_to_leave};

/// Something with a rate: what comes while it is busy waits.
#[derive(Debug, Default)]
pub(crate) struct Line {
    free_at: Option<Instant>,
}

impl Line {
    /// How long what comes now waits until it begins to leave.
    pub(crate) fn backlog(&self, now: Instant) -> Duration {
        self.free_at.map_or(Duration::ZERO, |free| free.saturating_duration_since(now))
    }

    /// When bytes that come now have left.
    pub(crate) fn pass(&mut self, now: Instant, rate: ByteRate, len: usize) -> Instant {
        let left = now + self.backlog(now) + time_to_leave(rate, ByteCount(len as u64));
        self.free_at = Some(left);
        left
    }
}

/// One direction between two nodes: a line, and the way behind it.
#[derive(Debug, Default)]
pub(super) struct Link {
    line: Line,
    last_arrival: Option<Instant>,
}

impl Link {
    /// How long to wait until the queue has room; nothing if it has room now. `grain` is the smallest
    /// wait that can be kept: a queue that is shorter counts as that long, or the link would run dry.
    pub(super) fn wait_for_room(&self, now: Instant, spec: &LinkSpec, grain: Duration) -> Duration {
        over(self.line.backlog(now), spec.time_of_queue().max(grain))
    }

    /// When bytes arrive that are sent now.
    pub(super) fn pass(&mut self, now: Instant, spec: &LinkSpec, len: usize) -> Instant {
        let through = self.line.pass(now, spec.rate, len) + spec.latency;
        // A link that gets shorter while something is under way must not reorder it.
        let arrives = self.last_arrival.map_or(through, |last| last.max(through));
        self.last_arrival = Some(arrives);
        arrives
    }
}

/// How long until a backlog is shorter than a queue.
pub(super) fn over(backlog: Duration, queue: Duration) -> Duration {
    if backlog.is_zero() || backlog < queue {
        return Duration::ZERO;
    }
    backlog - queue + Duration::from_nanos(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> LinkSpec {
        LinkSpec {
            latency: Duration::from_millis(10),
            rate: ByteRate::per_sec(1_000_000),
            queue: ByteCount(3_000),
            ..LinkSpec::default()
        }
    }

    fn room(link: &Link, now: Instant) -> Duration {
        link.wait_for_room(now, &spec(), Duration::ZERO)
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_sent_leaves_one_after_another() {
        let (mut link, now) = (Link::default(), Instant::now());
        let after = |ms| now + Duration::from_millis(ms);
        for ms in [11, 12, 13] {
            assert_eq!(room(&link, now), Duration::ZERO);
            assert_eq!(link.pass(now, &spec(), 1_000), after(ms));
        }
        assert!(room(&link, now) > Duration::ZERO, "the queue is full");
        assert_eq!(room(&link, after(1)), Duration::ZERO);
        assert_eq!(link.pass(after(1), &spec(), 1_000), after(14));
    }

    #[tokio::test(start_paused = true)]
    async fn a_link_that_gets_shorter_keeps_the_order() {
        let (mut link, now) = (Link::default(), Instant::now());
        let first = link.pass(now, &spec(), 1_000);
        let short = LinkSpec { latency: Duration::ZERO, ..spec() };
        assert!(link.pass(now, &short, 1_000) >= first);
    }

    #[tokio::test(start_paused = true)]
    async fn an_unlimited_line_has_no_backlog() {
        let (mut link, now) = (Link::default(), Instant::now());
        for _ in 0..10 {
            assert_eq!(link.pass(now, &LinkSpec::instant(), 1 << 20), now);
        }
        assert_eq!(link.wait_for_room(now, &LinkSpec::instant(), Duration::ZERO), Duration::ZERO);
    }
}
