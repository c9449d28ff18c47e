//! Notices a run in which no virtual time passes any more, and ends it.
//!
//! Virtual time passes when a run waits: whenever its thread has nothing to do. A run that has kept its
//! thread busy for long without waiting once goes round in circles. What is measured is the time of its
//! own thread, so that neither a slow machine nor many runs side by side look like that.

use std::fs;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::runtime::RuntimeMetrics;
use tokio::sync::Notify;

/// How often the thread is looked at, in parts of the patience.
const LOOKS: u32 = 10;

/// A run that is watched. Dropping it ends the watch.
#[derive(Debug)]
pub(super) struct Watched {
    stuck: Arc<Notify>,
    _running: mpsc::Sender<()>,
}

impl Watched {
    /// Watches the run of this thread. After `patience` without progress [`stuck`](Self::stuck) returns;
    /// a run that does not even end then, because it never comes back from one poll, ends the process
    /// with what `name` says.
    pub(super) fn begin(metrics: RuntimeMetrics, patience: Duration, name: String) -> Self {
        let (running, ended) = mpsc::channel::<()>();
        let (stuck, thread) = (Arc::new(Notify::new()), Thread::this());
        let told = stuck.clone();
        std::thread::spawn(move || {
            let every = patience / LOOKS;
            let (mut waits, mut busy, mut spent) = (None, Duration::ZERO, thread.spent());
            while ended.recv_timeout(every) == Err(mpsc::RecvTimeoutError::Timeout) {
                let (waits_now, spent_now) = (Some(metrics.worker_park_count(0)), thread.spent());
                // Where the system does not tell, by the clock on the wall.
                let more = spent_now.zip(spent).map_or(every, |(now, before)| now.saturating_sub(before));
                busy = if waits_now == waits { busy + more } else { Duration::ZERO };
                (waits, spent) = (waits_now, spent_now);
                if busy >= patience * 2 {
                    eprintln!("{name}: no virtual time passes any more, after {busy:?} in one step");
                    std::process::exit(101);
                }
                if busy >= patience {
                    told.notify_one();
                }
            }
        });
        Self { stuck, _running: running }
    }

    /// Waits until the run is stuck.
    pub(super) async fn stuck(&self) {
        self.stuck.notified().await;
    }
}

/// A thread of this process, for the system.
#[derive(Debug)]
struct Thread(Option<String>);

impl Thread {
    fn this() -> Self {
        let thread = fs::read_link("/proc/thread-self").ok();
        Self(thread.and_then(|thread| Some(format!("/proc/{}/schedstat", thread.to_str()?))))
    }

    /// How long it was on a processor.
    fn spent(&self) -> Option<Duration> {
        let text = fs::read_to_string(self.0.as_ref()?).ok()?;
        text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
    }
}
