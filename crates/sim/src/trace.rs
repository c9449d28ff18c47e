//! What happened, line by line: the same for the same seed.

use std::fmt::{Display, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use peerstream_types::Timestamp;
use tokio::time::Instant;

/// Most lines kept; beyond it they are counted and hashed only, so that a loop cannot fill the memory.
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
    /// When the last line was added.
    last: Duration,
    dropped: u64,
    /// Of all that were dropped, one after another.
    hash: Fnv,
}

/// FNV-1a, 64 bits: the same in every build, and enough to tell traces apart that nobody forges.
#[derive(Debug)]
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn take(&mut self, line: &str) {
        for byte in line.bytes().chain([b'\n']) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
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
        let (now, line) = (self.origin.elapsed(), format!("{} {who}: {what}", self.now()));
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.last = now;
        if inner.lines.len() < LINES_MAX {
            inner.lines.push(line);
        } else {
            inner.dropped += 1;
            inner.hash.take(&line);
        }
    }

    /// Virtual time from the beginning until the last line.
    pub(crate) fn last(&self) -> Duration {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).last
    }

    /// How many lines are wanted.
    pub(crate) fn count(&self, is_wanted: impl Fn(&str) -> bool) -> usize {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.lines.iter().filter(|line| is_wanted(line)).count()
    }

    /// Whether lines were dropped.
    pub(crate) fn is_full(&self) -> bool {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).dropped > 0
    }

    /// The lines from a place on, as far as they are kept.
    pub(crate) fn lines_from(&self, place: usize) -> Vec<String> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.lines.get(place..).unwrap_or_default().to_vec()
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
            let _ =
                write!(text, "\n... and {} more lines, which hash to {:016x}", inner.dropped, inner.hash.0);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lines_beyond_the_limit_still_tell_traces_apart() {
        let trace = |last: &str| {
            let trace = Trace::start();
            (0..LINES_MAX + 2).for_each(|line| trace.note("a", line));
            trace.note("a", last);
            trace.text()
        };
        let (one, other) = (trace("one"), trace("other"));
        assert!(one.ends_with(|c: char| c.is_ascii_hexdigit()) && one.contains("... and 3 more lines"));
        assert_eq!(one, trace("one"));
        assert_ne!(one, other);
    }
}
