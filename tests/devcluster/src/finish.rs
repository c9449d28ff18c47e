//! Commands that are run to their end.

use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::{Error, Result};

/// Runs a command to its end and hands over what it said; kills it if it takes too long.
///
/// # Errors
///
/// If it cannot be run, or took too long.
pub fn finish(command: &mut Command, at_most: Duration) -> Result<Output> {
    let shown = format!("{command:?}");
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.map_err(Error::at(&shown))?;
    let pid = Pid::from_child(&child);
    let (ended, end) = mpsc::channel();
    std::thread::spawn(move || ended.send(child.wait_with_output()).ok());
    if let Ok(output) = end.recv_timeout(at_most) {
        return output.map_err(Error::at(shown));
    }
    // It was not waited for yet, so the id is still its own.
    kill_process(pid, Signal::KILL).ok();
    let said = end.recv().ok().and_then(std::result::Result::ok);
    let said = said.map(|output| String::from_utf8_lossy(&output.stderr).into_owned()).unwrap_or_default();
    Err(Error::new(format!("{shown} took longer than {} s:\n{said}", at_most.as_secs())))
}
