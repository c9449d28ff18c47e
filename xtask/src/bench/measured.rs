//! A process with what it used: wall time, processor time, peak memory, its children included.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process_group};
use wait4::Wait4;

/// Bytes of a failed process's last words that are shown.
const LAST_WORDS: usize = 2000;
/// How often a foreign process is looked at that does not say what it is doing.
const LOOK: Duration = Duration::from_millis(5);

/// A process in a group of its own; killed with the group when it is dropped before its end.
#[derive(Debug)]
pub(super) struct Measured {
    name: String,
    child: Option<Child>,
    group: Pid,
    stdout: BufReader<ChildStdout>,
    log: PathBuf,
    started: Instant,
    limit: Duration,
    hung: Arc<AtomicBool>,
    /// Dropped to call the watchdog off.
    _watched: Sender<()>,
}

/// What a process used from its start to its end.
#[derive(Debug, Clone)]
pub(super) struct Used {
    pub(super) wall_s: f64,
    /// User and system, with the children that it waited for.
    pub(super) cpu_s: f64,
    /// Peak of the process or of its largest child. Never less than the peak of the chore itself,
    /// because a new process begins as a copy of it.
    pub(super) rss_mib: f64,
    /// What is left of its standard output.
    pub(super) said: String,
}

impl Measured {
    /// Starts `command`; one that has not ended after `limit` is killed. Its standard error goes to
    /// `log`, its standard input stays open until it is stopped.
    pub(super) fn start(command: &mut Command, log: &Path, limit: Duration) -> anyhow::Result<Self> {
        let name = Path::new(command.get_program()).display().to_string();
        let stderr = File::create(log).with_context(|| log.display().to_string())?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr).process_group(0);
        let started = now();
        let mut child = command.spawn().with_context(|| name.clone())?;
        let group = Pid::from_child(&child);
        let stdout = BufReader::new(child.stdout.take().context("the process has no output")?);
        let hung = Arc::new(AtomicBool::new(false));
        let watched = watch(group, limit, hung.clone());
        Ok(Self {
            name,
            child: Some(child),
            group,
            stdout,
            log: log.to_owned(),
            started,
            limit,
            hung,
            _watched: watched,
        })
    }

    /// Waits for a line of its output.
    pub(super) fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        let read = self.stdout.read_line(&mut line).context("cannot read what it says")?;
        ensure!(read > 0, "{} {}: {}", self.name, self.how("said nothing"), self.last_words());
        Ok(line)
    }

    /// Waits until it listens at a local TCP port.
    pub(super) fn wait_for_port(&mut self, port: u16, limit: Duration) -> anyhow::Result<()> {
        let started = now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().transpose()).is_some();
            ensure!(
                !ended && started.elapsed() < limit,
                "{} does not listen: {}",
                self.name,
                self.last_words()
            );
            std::thread::park_timeout(LOOK);
        }
        Ok(())
    }

    /// Waits until it ends by itself, as it should.
    pub(super) fn finish(mut self) -> anyhow::Result<Used> {
        let (used, ok) = self.wait()?;
        ensure!(ok, "{} {}: {}", self.name, self.how("failed"), self.last_words());
        Ok(used)
    }

    /// Asks it to end, and waits until it has.
    pub(super) fn stop(mut self) -> anyhow::Result<Used> {
        if let Some(child) = &mut self.child {
            drop(child.stdin.take());
        }
        kill_process_group(self.group, Signal::TERM).context("kill")?;
        Ok(self.wait()?.0)
    }

    /// Waits until a daemon that forks for every client has collected its children: what they used
    /// counts from then on.
    pub(super) fn wait_for_children(&self) -> anyhow::Result<()> {
        let pid = self.group.as_raw_nonzero();
        let children = format!("/proc/{pid}/task/{pid}/children");
        while !self.hung.load(Ordering::Relaxed) {
            // Without the file nothing can be told, and nothing is waited for.
            let still = std::fs::read_to_string(&children).unwrap_or_default();
            if still.is_empty() {
                return Ok(());
            }
            std::thread::park_timeout(LOOK);
        }
        bail!("{} has children that do not end", self.name)
    }

    fn wait(&mut self) -> anyhow::Result<(Used, bool)> {
        let mut said = String::new();
        self.stdout.read_to_string(&mut said).context("cannot read what it says")?;
        let child = self.child.take().context("it was waited for")?;
        let ended = child.wait4()?;
        let used = Used {
            wall_s: self.started.elapsed().as_secs_f64(),
            cpu_s: (ended.rusage.utime + ended.rusage.stime).as_secs_f64(),
            rss_mib: ended.rusage.maxrss as f64 / f64::from(1 << 20),
            said,
        };
        Ok((used, ended.status.success()))
    }

    fn how(&self, otherwise: &str) -> String {
        if self.hung.load(Ordering::Relaxed) {
            return format!("hangs: killed after {} s", self.limit.as_secs());
        }
        otherwise.to_owned()
    }

    fn last_words(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let from = text.len().saturating_sub(LAST_WORDS);
        String::from_utf8_lossy(&text[from..]).trim().to_owned()
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended already, which is as good.
            kill_process_group(self.group, Signal::KILL).ok();
            child.wait().ok();
        }
    }
}

/// Kills the group if nobody calls the watchdog off in time.
fn watch(group: Pid, limit: Duration, hung: Arc<AtomicBool>) -> Sender<()> {
    let (watched, over) = mpsc::channel();
    std::thread::spawn(move || {
        if over.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            hung.store(true, Ordering::Relaxed);
            // It may be ending just now.
            kill_process_group(group, Signal::KILL).ok();
        }
    });
    watched
}

#[expect(clippy::disallowed_methods, reason = "real durations are what a benchmark is for")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> (tempfile::TempDir, Measured) {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        let measured = Measured::start(command.args(["-c", script]), &dir.path().join("log"), limit);
        (dir, measured.unwrap())
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn the_work_of_children_counts() {
        let (_dir, measured) =
            shell("sh -c 'i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done'; echo done", LONG);
        let used = measured.finish().unwrap();
        assert_eq!(used.said, "done\n");
        assert!(used.cpu_s > 0.0 && used.rss_mib > 0.0, "{used:?}");
    }

    #[test]
    fn a_failure_shows_the_last_words() {
        let (_dir, measured) = shell("echo no room >&2; exit 3", LONG);
        let error = measured.finish().unwrap_err().to_string();
        assert!(error.contains("no room"), "{error}");
    }

    #[test]
    fn a_hang_is_a_failure() {
        let (_dir, measured) = shell("sleep 1000 & wait", Duration::from_millis(50));
        let error = measured.finish().unwrap_err().to_string();
        assert!(error.contains("hangs"), "{error}");
    }

    #[test]
    fn a_daemon_that_does_not_start_says_why() {
        let (_dir, mut daemon) = shell("echo bad config >&2; exit 1", LONG);
        // Nobody may listen on port 1 but root's oldest services.
        let error = daemon.wait_for_port(1, LONG).unwrap_err().to_string();
        assert!(error.contains("bad config"), "{error}");
    }

    #[test]
    fn a_server_ends_when_it_is_asked_to() {
        let (_dir, mut measured) = shell("echo ready; exec cat", LONG);
        assert_eq!(measured.line().unwrap(), "ready\n");
        measured.stop().unwrap();
    }
}
