//! One direction between two nodes.

use tokio::time::Instant;

use crate::network::LinkSpec;

/// When the last datagram that was let in will have left.
#[derive(Debug, Default)]
pub(super) struct Link {
    free_at: Option<Instant>,
    last_arrival: Option<Instant>,
}

impl Link {
    /// When a datagram arrives that is sent now, or `None` if the queue has no room for it.
    pub(super) fn admit(&mut self, now: Instant, spec: &LinkSpec, len: usize) -> Option<Instant> {
        let begins = self.free_at.map_or(now, |free| free.max(now));
        let room = usize::try_from(spec.queue.0).unwrap_or(usize::MAX);
        if begins > now && begins - now >= spec.time_to_leave(room) {
            return None;
        }
        let left = begins + spec.time_to_leave(len);
        self.free_at = Some(left);
        // A link that gets faster while datagrams are under way must not reorder them.
        let arrives = self.last_arrival.map_or(left + spec.latency, |last| last.max(left + spec.latency));
        self.last_arrival = Some(arrives);
        Some(arrives)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use peerstream_types::{ByteCount, ByteRate};

    use super::*;

    const SPEC: LinkSpec = LinkSpec {
        latency: Duration::from_millis(10),
        rate: ByteRate::per_sec(1_000_000),
        queue: ByteCount(3_000),
        loss_ppm: 0,
    };

    #[tokio::test(start_paused = true)]
    async fn datagrams_leave_one_after_another() {
        let (mut link, now) = (Link::default(), Instant::now());
        let after = |ms| Some(now + Duration::from_millis(ms));
        assert_eq!(link.admit(now, &SPEC, 1_000), after(11));
        assert_eq!(link.admit(now, &SPEC, 1_000), after(12));
        assert_eq!(link.admit(now, &SPEC, 1_000), after(13));
        assert_eq!(link.admit(now, &SPEC, 1_000), None, "the queue is full");
        let later = now + Duration::from_millis(1);
        assert_eq!(link.admit(later, &SPEC, 1_000), after(14));
    }

    #[tokio::test(start_paused = true)]
    async fn a_link_that_gets_shorter_keeps_the_order() {
        let (mut link, now) = (Link::default(), Instant::now());
        let first = link.admit(now, &SPEC, 1_000).unwrap();
        let short = LinkSpec { latency: Duration::ZERO, ..SPEC };
        assert!(link.admit(now, &short, 1_000).unwrap() >= first);
    }
}
