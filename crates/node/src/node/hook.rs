//! Commands of a store in another language: run with an environment, bounded in time and in words.

use std::ffi::OsString;
use std::io;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

/// Most that a command may say on standard output: a position and a state, with room for quotes.
const ANSWER_LEN_MAX: u64 = 1 << 20;
/// Most that is kept of what it says on standard error: its last words.
const COMPLAINT_LEN_MAX: usize = 2_000;

/// A command with its arguments. No shell is between.
#[derive(Debug, Clone)]
pub(super) struct Hook {
    command: Vec<String>,
    timeout: Duration,
}

/// Why a command did not do as asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum HookError {
    /// It is not there, or may not be run.
    #[error("{command:?} cannot be run: {error}")]
    Start { command: String, error: io::Error },
    /// It ended with another code than 0.
    #[error("{command:?} ended with {status}{}", said(.complaint))]
    Failed { command: String, status: std::process::ExitStatus, complaint: String },
    /// It was killed.
    #[error("{command:?} took longer than {}, and was killed", humantime::format_duration(*.timeout))]
    TimedOut { command: String, timeout: Duration },
    /// It said more than anybody can need.
    #[error("{command:?} wrote more than {ANSWER_LEN_MAX} bytes to standard output")]
    TooLong { command: String },
}

fn said(complaint: &str) -> String {
    if complaint.is_empty() { String::new() } else { format!(": {complaint}") }
}

impl Hook {
    /// `None` for a command that is not set.
    pub(super) fn new(command: &[String], timeout: Duration) -> Option<Self> {
        (!command.is_empty()).then(|| Self { command: command.to_vec(), timeout })
    }

    /// Runs it to its end, and hands over what it wrote to standard output. Killed, with all that it
    /// started, when its time is up or nobody waits for it any more.
    pub(super) async fn run(&self, environment: &[(&str, OsString)]) -> Result<Vec<u8>, HookError> {
        let shown = self.command[0].clone();
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).envs(environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own, so that what it starts can be killed with it.
        command.process_group(0).kill_on_drop(true);
        let child = command.spawn();
        let child = child.map_err(|error| HookError::Start { command: shown.clone(), error })?;
        match tokio::time::timeout(self.timeout, finish(child, &shown)).await {
            Ok(answer) => answer,
            Err(_) => Err(HookError::TimedOut { command: shown, timeout: self.timeout }),
        }
    }
}

async fn finish(mut child: Child, shown: &str) -> Result<Vec<u8>, HookError> {
    let group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (answer, complaint) = tokio::join!(read(out), last_words(err));
    if answer.len() as u64 > ANSWER_LEN_MAX {
        return Err(HookError::TooLong { command: shown.to_owned() });
    }
    let status = child.wait().await;
    let status = status.map_err(|error| HookError::Start { command: shown.to_owned(), error })?;
    group.disarm();
    if status.success() {
        return Ok(answer);
    }
    Err(HookError::Failed { command: shown.to_owned(), status, complaint })
}

/// The processes of a command; killed when it is dropped before the command was waited for.
struct Group(Option<Pid>);

impl Group {
    /// The id may be somebody else's from now on.
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            kill_process_group(pid, Signal::KILL).ok();
        }
    }
}

async fn read(from: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut answer = Vec::new();
    if let Some(from) = from {
        // What could be read counts; a broken pipe ends with the command, whose status tells.
        from.take(ANSWER_LEN_MAX + 1).read_to_end(&mut answer).await.ok();
    }
    answer
}

/// Reads to the end, and keeps the end.
async fn last_words(from: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut from) = from else { return String::new() };
    let (mut kept, mut buffer) = (Vec::new(), [0; 1024]);
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        kept.extend_from_slice(&buffer[..read]);
        kept.drain(..kept.len().saturating_sub(COMPLAINT_LEN_MAX));
    }
    String::from_utf8_lossy(&kept).trim().replace('\n', "; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, timeout: Duration) -> Hook {
        Hook::new(&["sh", "-c", script].map(str::to_owned), timeout).unwrap()
    }

    async fn run(script: &str) -> Result<Vec<u8>, String> {
        let hook = shell(script, Duration::from_secs(60));
        hook.run(&[("PEERSTREAM_SHARD", "m@1/0".into())]).await.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_command_sees_its_environment_and_answers_on_standard_output() {
        assert_eq!(run("echo $PEERSTREAM_SHARD; echo noise >&2").await.unwrap(), b"m@1/0\n");
    }

    #[tokio::test]
    async fn a_command_that_fails_is_told_with_its_last_words() {
        let error = run("echo one >&2; echo 'no such column family' >&2; exit 3").await.unwrap_err();
        assert_eq!(error, "\"sh\" ended with exit status: 3: one; no such column family");
        let none = Hook::new(&["/does/not/exist".to_owned()], Duration::from_secs(1)).unwrap();
        let error = none.run(&[]).await.unwrap_err().to_string();
        assert!(error.starts_with("\"/does/not/exist\" cannot be run: "), "{error}");
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_killed_with_all_that_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let alive = dir.path().join("alive");
        let script = format!("sleep 60 & echo $! > {}; wait", alive.display());
        let hook = shell(&script, Duration::from_millis(300));
        let error = hook.run(&[]).await.unwrap_err().to_string();
        assert_eq!(error, "\"sh\" took longer than 300ms, and was killed");
        let Ok(started) = std::fs::read_to_string(&alive) else { return };
        let pid = Pid::from_raw(started.trim().parse().unwrap()).unwrap();
        // It is killed, but whoever adopted it has to wait for it.
        while is_running(pid) {
            tokio::task::yield_now().await;
        }
    }

    fn is_running(pid: Pid) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
        stat.is_ok_and(|stat| !stat.contains(") Z "))
    }

    #[tokio::test]
    async fn a_command_that_says_too_much_is_stopped() {
        let error = run("yes").await.unwrap_err();
        assert!(error.contains("wrote more than 1048576 bytes"), "{error}");
    }
}
