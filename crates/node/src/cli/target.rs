//! Finds the node that a command talks to.

use super::args::TargetArgs;
use crate::admin::AdminClient;
use crate::config::{self, Overrides};
use crate::failure::{Failure, Result};

/// The client of the node; a socket stands over a config file.
pub(super) fn client(target: &TargetArgs) -> Result<AdminClient> {
    if let Some(socket) = &target.socket {
        return Ok(AdminClient::new(socket));
    }
    let Some(path) = &target.config else {
        return Err(Failure::new("which node?")
            .hint("name its admin socket with --socket, or its config file with --config"));
    };
    // The same variables that the node saw decide where its data directory is.
    let overrides = Overrides {
        data_dir: std::env::var_os("PEERSTREAM_DATA_DIR").map(Into::into),
        ..Overrides::default()
    };
    Ok(AdminClient::new(config::load(path, &overrides)?.admin_socket()))
}

/// A small runtime for a command that mostly waits.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::new(format!("cannot start: {error}")))?.block_on(work)
}
