//! A sender that sends so many bytes a second and no more.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use peerstream_engine::shape::{Charge, Direction, Shaper};
use tokio::time::Instant;

/// Bytes that are sent without a wait: each wait cuts a batch of packets and wakes both ends, so that
/// one per write of 64 KiB doubles the processor time.
const STEP: u64 = 512 * 1024;

/// Holds back what is sent, and nothing else.
#[derive(Debug)]
pub(crate) struct Capped {
    bytes_per_sec: u64,
    /// When all that was charged will have been sent.
    paid_at: Arc<Mutex<Instant>>,
}

/// What was charged and is not sent yet; taken back if it is dropped before that.
struct Owed {
    paid_at: Arc<Mutex<Instant>>,
    time: Duration,
}

impl Capped {
    pub(crate) fn new(bytes_per_sec: u64) -> Self {
        Self { bytes_per_sec: bytes_per_sec.max(1), paid_at: Arc::new(Mutex::new(Instant::now())) }
    }

    fn time_of(&self, bytes: u64) -> Duration {
        Duration::from_secs_f64(bytes as f64 / self.bytes_per_sec as f64)
    }
}

impl Shaper for Capped {
    fn charge(&self, charge: &Charge<'_>) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        if charge.direction != Direction::Send {
            return None;
        }
        let (step, time) = (self.time_of(STEP), self.time_of(charge.bytes));
        let mut paid_at = self.paid_at.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        // Timers are late, and what that costs is made up for.
        *paid_at = (*paid_at).max(now.checked_sub(step).unwrap_or(now)) + time;
        let until = *paid_at;
        if until <= now + step {
            return None;
        }
        let owed = Owed { paid_at: self.paid_at.clone(), time };
        Some(Box::pin(async move {
            tokio::time::sleep_until(until).await;
            owed.paid();
        }))
    }
}

impl Owed {
    fn paid(mut self) {
        self.time = Duration::ZERO;
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        *self.paid_at.lock().unwrap_or_else(PoisonError::into_inner) -= self.time;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use peerstream_engine::shape::Class;

    const MIB: u64 = 1 << 20;

    async fn send(cap: &Capped, bytes: u64) {
        for _ in 0..bytes / 65_536 {
            let charge =
                Charge { class: Class::Bootstrap, direction: Direction::Send, peer: None, bytes: 65_536 };
            if let Some(wait) = cap.charge(&charge) {
                wait.await;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_sent_keeps_to_the_rate() {
        let (cap, started) = (Capped::new(50 * MIB), Instant::now());
        tokio::join!(send(&cap, 100 * MIB), send(&cap, 50 * MIB));
        let took = started.elapsed().as_secs_f64();
        assert!((2.97..3.01).contains(&took), "{took} s for 150 MiB");
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_is_given_up_costs_nothing() {
        let (cap, started) = (Capped::new(MIB), Instant::now());
        let charge =
            Charge { class: Class::Bootstrap, direction: Direction::Send, peer: None, bytes: 100 * MIB };
        drop(cap.charge(&charge).unwrap());
        let read = Charge { direction: Direction::Read, ..charge };
        assert!(cap.charge(&read).is_none(), "what is read is not held back");
        send(&cap, 2 * MIB).await;
        assert!(started.elapsed() < Duration::from_secs(3));
    }
}
