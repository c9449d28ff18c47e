//! When the bytes of a stream arrive.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

/// One direction of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// From who opened it.
    Out = 0,
    /// Towards who opened it.
    Back = 1,
}

/// Bytes that arrive together.
#[derive(Debug)]
struct Piece {
    at: Instant,
    len: usize,
    /// They have passed the cap of their receiver.
    through: bool,
}

/// What a reader may have now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrived {
    /// Whatever was written: nothing is under way.
    Everything,
    /// So many bytes.
    Bytes(usize),
    /// None before this moment.
    NotBefore(Instant),
}

/// What is under way in both directions of a stream: at most the windows of the stream, by pieces.
#[derive(Debug, Default)]
pub(super) struct Journey(Mutex<[VecDeque<Piece>; 2]>);

impl Journey {
    fn lock(&self) -> MutexGuard<'_, [VecDeque<Piece>; 2]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes were written. They arrive at a moment, or at once, and never before what was written
    /// earlier.
    pub(super) fn sent(&self, direction: Direction, len: usize, at: Option<Instant>) {
        let pieces = &mut self.lock()[direction as usize];
        let last = pieces.back().map(|last| last.at);
        if let Some(at) = at.max(last) {
            pieces.push_back(Piece { at, len, through: false });
        }
    }

    /// What has arrived; `cap` says when bytes are through that came at a moment.
    pub(super) fn arrived(
        &self,
        direction: Direction,
        now: Instant,
        cap: impl FnOnce(Instant, usize) -> Instant,
    ) -> Arrived {
        let Some(piece) = self.lock()[direction as usize].front_mut().map(|piece| {
            if piece.at <= now && !piece.through {
                (piece.at, piece.through) = (cap(piece.at, piece.len), true);
            }
            (piece.at, piece.len)
        }) else {
            return Arrived::Everything;
        };
        if piece.0 <= now { Arrived::Bytes(piece.1) } else { Arrived::NotBefore(piece.0) }
    }

    /// The reader took bytes of what had arrived.
    pub(super) fn took(&self, direction: Direction, len: usize) {
        let pieces = &mut self.lock()[direction as usize];
        if let Some(piece) = pieces.front_mut() {
            piece.len = piece.len.saturating_sub(len);
            if piece.len == 0 {
                pieces.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pieces_arrive_in_order_each_in_its_time() {
        let (journey, now) = (Journey::default(), Instant::now());
        let after = |ms| now + Duration::from_millis(ms);
        let arrived = |at| journey.arrived(Direction::Out, at, |at, _| at);
        journey.sent(Direction::Out, 9, None);
        assert_eq!(arrived(now), Arrived::Everything, "what is there at once is not counted");
        journey.sent(Direction::Out, 10, Some(after(5)));
        journey.sent(Direction::Out, 20, None);
        assert_eq!(arrived(now), Arrived::NotBefore(after(5)));
        assert_eq!(arrived(after(5)), Arrived::Bytes(10));
        journey.took(Direction::Out, 4);
        assert_eq!(arrived(after(5)), Arrived::Bytes(6));
        journey.took(Direction::Out, 6);
        assert_eq!(arrived(after(5)), Arrived::Bytes(20), "what is sent later does not overtake");
        assert_eq!(journey.arrived(Direction::Back, now, |at, _| at), Arrived::Everything);
    }

    #[tokio::test(start_paused = true)]
    async fn a_piece_passes_the_cap_once() {
        let (journey, now) = (Journey::default(), Instant::now());
        let after = |ms| now + Duration::from_millis(ms);
        journey.sent(Direction::Out, 10, Some(after(5)));
        let capped = |at| journey.arrived(Direction::Out, at, |at, _| at + Duration::from_millis(3));
        assert_eq!(capped(after(5)), Arrived::NotBefore(after(8)));
        assert_eq!(capped(after(8)), Arrived::Bytes(10));
    }
}
