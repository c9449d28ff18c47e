//! The log: to standard error, filtered, as text or JSON.
//!
//! Certificates' keys never get here: the types that hold them show nothing.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};
use crate::failure::{Failure, Result};

/// Starts the log of this process.
///
/// # Errors
///
/// A filter that cannot be read.
pub(crate) fn start(config: &Config) -> Result<()> {
    let filter = EnvFilter::builder().parse(&config.log).map_err(|error| {
        Failure::new(format!("log: {:?} is no filter: {error}", config.log))
            .hint("write a level, or targets with levels: `info,peerstream_engine=debug`")
    })?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = match config.log_format {
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| Failure::new(format!("cannot start the log: {error}")))
}
