//! What happened, line by line: the same for the same seed.

use std::fmt::{Display, Write};
use std::sync::{Arc, Mutex, PoisonError};

use peerstream_types::Timestamp;
use tokio::time::Instant;

/// Most lines kept; beyond it they are counted only, so that a loop cannot fill the memory.
const LINES_MAX: usize = 100_000;

/// The trace of a run: virtual time, node, event. Clones share it.
#[derive(Debug, Clone)]
pub struct Trace {
    origin: Instant,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    lines: Vec<String>,
    dropped: u64,
}

impl Trace {
    pub(crate) fn start() -> Self {
        Self { origin: Instant::now(), inner: Arc::default() }
    }

    /// Virtual time since the run began.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_duration(self.origin.elapsed())
    }

    /// Adds a line.
    pub fn note(&self, who: &str, what: impl Display) {
        let line = format!("{} {who}: {what}", self.now());
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.lines.len() < LINES_MAX {
            inner.lines.push(line);
        } else {
            inner.dropped += 1;
        }
    }

    /// How many lines are wanted.
    pub(crate) fn count(&self, is_wanted: impl Fn(&str) -> bool) -> usize {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.lines.iter().filter(|line| is_wanted(line)).count()
    }

    /// All lines.
    pub fn text(&self) -> String {
        self.tail(usize::MAX)
    }

    /// The last lines.
    pub(crate) fn tail(&self, count: usize) -> String {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let from = inner.lines.len().saturating_sub(count);
        let mut text = inner.lines[from..].join("\n");
        if inner.dropped > 0 {
            let _ = write!(text, "\n... and {} more lines", inner.dropped);
        }
        text
    }
}
