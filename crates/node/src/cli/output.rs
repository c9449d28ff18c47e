//! Where words go: answers to standard output, everything else to standard error.

use std::io::{self, Write};

use serde::Serialize;

use crate::failure::{Failure, Result};

/// Writes an answer. A reader that went away is no failure of the command.
pub(super) fn say(text: &str) {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()).ok();
}

/// Writes an answer for programs.
pub(super) fn say_json<T: Serialize>(answer: &T) -> Result<()> {
    let text = serde_json::to_string_pretty(answer).map_err(Failure::new)?;
    say(&text);
    Ok(())
}

/// Writes what is not the answer itself.
pub(super) fn note(text: &str) {
    writeln!(io::stderr().lock(), "{text}").ok();
}

/// Writes why a command failed.
pub(super) fn complain(failure: &Failure) {
    note(&format!("error: {failure}"));
}
