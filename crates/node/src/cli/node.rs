//! `peerstream node`: runs a node until it is asked to stop.

use std::sync::Arc;

use super::Ended;
use super::args::NodeArgs;
use super::descriptors;
use crate::admin::AdminServer;
use crate::config::{self, Config};
use crate::failure::{Failure, Result};
use crate::logging;
use crate::node::{Node, wait_for_impatience, wait_for_signal};

pub(super) fn run(args: &NodeArgs) -> Result<Ended> {
    let config = config::load(&args.config, &args.overrides)?;
    let _log = logging::start(&config)?;
    descriptors::raise();
    let mut runtime = match config.limits.quic.own_thread {
        true => tokio::runtime::Builder::new_multi_thread(),
        false => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = runtime.enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(format!("cannot start: {error}")))?;
    let ended = runtime.block_on(serve(config, args));
    // Whatever still blocks after the drain has had its time.
    runtime.shutdown_background();
    ended
}

async fn serve(config: Config, args: &NodeArgs) -> Result<Ended> {
    let socket = config.admin_socket();
    let node = Arc::new(Node::start(config, &args.config, &args.overrides).await?);
    let admin = AdminServer::bind(&socket).await?.serve(node.clone());
    let config = node.config();
    tracing::info!(
        node = %config.node,
        cluster = %config.cluster,
        incarnation = %node.incarnation(),
        listen = %node.local_addr(),
        admin = %socket.display(),
        "ready"
    );
    if config.access.rules().is_empty() {
        tracing::warn!("there are no [[access]] rules: every request of a peer is denied");
    }
    let signal = wait_for_signal(&node).await;
    let signal = signal.map_err(|error| Failure::new(format!("cannot listen to signals: {error}")))?;
    tracing::info!(signal, "shutting down; once more to stop at once");
    let orderly = async {
        node.shut_down().await;
        admin.close().await;
    };
    tokio::select! {
        () = orderly => {
            tracing::info!("stopped");
            Ok(Ended::Done)
        }
        () = wait_for_impatience() => Err(Failure::new("stopped without waiting for what was under way")),
    }
}
