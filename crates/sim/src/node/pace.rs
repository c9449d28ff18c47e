//! Something that does one piece of work after another: a disk, a processor.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Shorter waits add up until they make one: tokio's timers are exact to a millisecond.
const WAIT_MIN: Duration = Duration::from_millis(1);

/// When the work that was taken will be done. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pace(Arc<Mutex<Option<Instant>>>);

impl Pace {
    /// Does work that takes so long, after what was taken before.
    pub(crate) async fn work(&self, takes: Duration) {
        let done = self.book(takes);
        if done.saturating_duration_since(Instant::now()) >= WAIT_MIN {
            sleep_until(done).await;
        }
    }

    fn book(&self, takes: Duration) -> Instant {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let done = free.map_or(now, |free| free.max(now)) + takes;
        *free = Some(done);
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn short_work_adds_up() {
        let (pace, start) = (Pace::default(), Instant::now());
        for _ in 0..1000 {
            pace.work(Duration::from_micros(100)).await;
        }
        let took = start.elapsed();
        assert!((98..=101).contains(&took.as_millis()), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_second_waits_for_the_first() {
        let (pace, start) = (Pace::default(), Instant::now());
        let second = Duration::from_secs(1);
        tokio::join!(pace.work(second), pace.work(second));
        assert_eq!(start.elapsed(), 2 * second);
    }
}
