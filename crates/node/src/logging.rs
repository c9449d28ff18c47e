//! The log: to standard error, filtered, as text or JSON.
//!
//! Certificates' keys never get here: the types that hold them show nothing.

use std::io::{self, IsTerminal};

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};
use crate::failure::{Failure, Result};

/// Lines that wait to be written, at most: some seconds of a busy node, about 4 MiB. Those that come when it
/// is full are lost, for a reader that stands still must not stop the packets.
const LINES_MAX: usize = 16_384;

/// Starts the log of this process. What was logged is written by a thread of its own, to the end once the
/// guard is dropped.
///
/// # Errors
///
/// A filter that cannot be read.
pub(crate) fn start(config: &Config) -> Result<WorkerGuard> {
    let filter = EnvFilter::builder().parse(&config.log).map_err(|error| {
        Failure::new(format!("log: {:?} is no filter: {error}", config.log))
            .hint("write a level, or targets with levels: `info,peerstream_engine=debug`")
    })?;
    let writer = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(LINES_MAX);
    let (writer, guard) = writer.thread_name("log").finish(io::stderr());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    let started = match config.log_format {
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| Failure::new(format!("cannot start the log: {error}")))?;
    Ok(guard)
}
