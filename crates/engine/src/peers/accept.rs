//! Connections that peers dial.

use std::sync::Arc;

use peerstream_transport::Connection;
use peerstream_wire::Code;
use tokio::sync::Semaphore;
use tracing::{debug, warn};

use super::table::Origin;
use super::{Link, ReachError, greeting, incoming};
use crate::shared::Shared;

/// Accepts connections until the transport is closed.
pub(crate) async fn accept_loop(shared: Arc<Shared>) {
    let room = Arc::new(Semaphore::new(shared.config.connections_max));
    while let Some(connection) = shared.parts.transport.accept().await {
        let Ok(permit) = room.clone().try_acquire_owned() else {
            warn!(peer = %connection.peer(), "too many connections, one is refused");
            connection.close(u32::from(Code::Busy.number()), "too many connections");
            continue;
        };
        let shared = shared.clone();
        tokio::spawn(async move {
            if let Err(error) = welcome(&shared, connection.clone()).await {
                debug!(peer = %connection.peer(), %error, "a connection was not taken");
                connection.close(u32::from(Code::BadRequest.number()), "no greeting");
                return;
            }
            connection.closed().await;
            drop(permit);
        });
    }
}

async fn welcome(shared: &Arc<Shared>, connection: Arc<dyn Connection>) -> Result<(), ReachError> {
    let limit = shared.config.connect_timeout;
    let hello = tokio::time::timeout(limit, greeting::take_hello(&*connection));
    let greeted = hello.await.map_err(|_| ReachError::GreetingTimedOut)??;
    let link = Link { connection, lane: greeted.lane, incarnation: greeted.incarnation };
    if shared.is_draining() {
        return greeted.turn_away(Code::Draining, "going down").await;
    }
    if let Err(outdated) = shared.peers.insert(link.clone(), Origin::Accepted) {
        let reason = format!("a newer boot ({}) of this node is known", outdated.known);
        return greeted.turn_away(Code::Incompatible, &reason).await;
    }
    greeted.welcome(shared.parts.incarnation).await?;
    incoming::spawn(shared, link);
    Ok(())
}
