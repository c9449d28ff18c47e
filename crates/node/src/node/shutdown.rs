//! Signals: when to stop, and when to load the configuration afresh.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Node;

/// Serves SIGHUP until SIGTERM or SIGINT asks the node to stop; says which of them it was.
///
/// # Errors
///
/// If signals cannot be listened to.
pub async fn wait_for_signal(node: &Arc<Node>) -> io::Result<&'static str> {
    let (mut terminate, mut interrupt, mut hangup) = listen()?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok("SIGTERM"),
            _ = interrupt.recv() => return Ok("SIGINT"),
            // Files are read, and nothing that blocks may run beside packets.
            _ = hangup.recv() => drop(tokio::task::spawn_blocking({
                let node = node.clone();
                move || reload(&node)
            })),
        }
    }
}

/// Waits for a second SIGTERM or SIGINT, from someone who does not want to wait for the drain.
pub(crate) async fn wait_for_impatience() {
    match listen() {
        Ok((mut terminate, mut interrupt, _)) => tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        },
        Err(_) => std::future::pending().await,
    }
}

fn listen() -> io::Result<(Signal, Signal, Signal)> {
    let listen = |kind: SignalKind| signal(kind);
    Ok((listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?, listen(SignalKind::hangup())?))
}

fn reload(node: &Node) {
    match node.reload() {
        Ok(report) => tracing::info!(
            changed = report.changed.join(","),
            needs_restart = report.needs_restart.join(","),
            "configuration was reloaded"
        ),
        Err(failure) => {
            let hint = failure.advice().unwrap_or_default();
            tracing::error!(
                error = failure.what(),
                hint,
                "reload refused, the old configuration stays in force"
            );
        }
    }
}
