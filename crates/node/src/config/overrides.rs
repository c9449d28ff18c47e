//! What the environment and the command line say over the file.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::Config;

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// A line for people.
    #[default]
    Text,
    /// A JSON object per line, for machines.
    Json,
}

/// Settings that stand over those of the file; a flag stands over its variable.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct Overrides {
    /// UDP address to listen on; port 0 picks one
    #[arg(long, env = "PEERSTREAM_LISTEN", value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Where received shards are kept
    #[arg(long, env = "PEERSTREAM_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// What is logged: info, debug, info,peerstream_engine=debug, ...
    #[arg(long, env = "PEERSTREAM_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// How it is logged
    #[arg(long, env = "PEERSTREAM_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

impl Overrides {
    /// Puts what is said here over what the file says.
    pub fn apply(&self, config: &mut Config) {
        let Self { listen, data_dir, log, log_format } = self.clone();
        config.listen = listen.unwrap_or(config.listen);
        config.log_format = log_format.unwrap_or(config.log_format);
        if let Some(data_dir) = data_dir {
            config.data_dir = data_dir;
        }
        if let Some(log) = log {
            config.log = log;
        }
    }
}
