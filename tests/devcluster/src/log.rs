//! What a process says on standard error: kept, written down, and waited for.

use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::{Error, Result};

/// Lines that are kept in memory; the file has all of them.
const LINES_MAX: usize = 10_000;
/// Lines of a process that ended too early that stand in the error.
const LAST_WORDS: usize = 8;

/// The log of one process. Clones see the same lines.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<(Mutex<Lines>, Condvar)>);

#[derive(Debug, Default)]
struct Lines {
    kept: VecDeque<String>,
    ended: bool,
}

impl Log {
    /// Reads `from` to its end on a thread of its own and writes every line to the end of `file`.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened.
    pub fn follow(from: impl Read + Send + 'static, file: &Path) -> Result<Self> {
        let mut file =
            OpenOptions::new().create(true).append(true).open(file).map_err(Error::at(file.display()))?;
        let log = Self::default();
        let writer = log.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(std::io::Result::ok) {
                writeln!(file, "{line}").ok();
                writer.push(line);
            }
            writer.end();
        });
        Ok(log)
    }

    /// Waits for a line that holds `text`, said before or from now on.
    ///
    /// # Errors
    ///
    /// The process ended without saying it, or did not say it in time; its last words are in the
    /// error.
    pub fn wait_for(&self, text: &str, at_most: Duration) -> Result<String> {
        let (lines, changed) = &*self.0;
        let found = |lines: &Lines| lines.kept.iter().find(|line| line.contains(text)).cloned();
        let lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        let (lines, _) = changed
            .wait_timeout_while(lines, at_most, |lines| !lines.ended && found(lines).is_none())
            .unwrap_or_else(PoisonError::into_inner);
        found(&lines).ok_or_else(|| {
            let how = if lines.ended { "ended" } else { "took too long" };
            Error::new(format!("the process {how} before it said {text:?}:\n{}", last_words(&lines)))
        })
    }

    /// Waits until the process has closed its standard error: it has ended, or is about to.
    pub fn wait_for_end(&self) {
        let (lines, changed) = &*self.0;
        let lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        drop(changed.wait_while(lines, |lines| !lines.ended));
    }

    /// The lines so far that hold `text`.
    pub fn lines_with(&self, text: &str) -> Vec<String> {
        self.lock().kept.iter().filter(|line| line.contains(text)).cloned().collect()
    }

    /// The last lines, for an error message.
    pub fn tail(&self) -> String {
        last_words(&self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: String) {
        let mut lines = self.lock();
        if lines.kept.len() == LINES_MAX {
            lines.kept.pop_front();
        }
        lines.kept.push_back(line);
        self.0.1.notify_all();
    }

    fn end(&self) {
        self.lock().ended = true;
        self.0.1.notify_all();
    }
}

fn last_words(lines: &Lines) -> String {
    let skipped = lines.kept.len().saturating_sub(LAST_WORDS);
    lines.kept.iter().skip(skipped).map(|line| format!("  {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_before_and_after_the_end() {
        let dir = std::env::temp_dir().join(format!("devcluster-log-{}", std::process::id()));
        let log = Log::follow(&b"one\nit is ready now\n"[..], &dir).unwrap();
        assert_eq!(log.wait_for("ready", Duration::from_secs(10)).unwrap(), "it is ready now");
        let error = log.wait_for("never", Duration::from_secs(10)).unwrap_err().to_string();
        assert!(error.contains("ended before it said \"never\"") && error.contains("  one\n"), "{error}");
        assert_eq!(std::fs::read_to_string(&dir).unwrap(), "one\nit is ready now\n");
        std::fs::remove_file(&dir).unwrap();
    }
}
