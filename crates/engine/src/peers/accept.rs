//! Connections that peers dial.

use std::sync::Arc;
use std::time::Duration;

use peerstream_transport::Connection;
use peerstream_wire::Code;
use tracing::{debug, warn};

use super::table::Origin;
use super::{Link, ReachError, greeting, incoming};
use crate::shared::Shared;

/// Accepts connections until the transport is closed.
pub(crate) async fn accept_loop(shared: Arc<Shared>) {
    while let Some(connection) = shared.parts.transport.accept().await {
        let busy = || shared.sessions.all().into_iter().map(|session| session.id.peer).collect();
        let Some(place) = shared.room.enter(&connection, shared.clock.now(), busy) else {
            warn!(peer = %connection.peer(), "too many connections, one is refused");
            connection.close(u32::from(Code::Busy.number()), "too many connections");
            continue;
        };
        let shared = shared.clone();
        tokio::spawn(async move {
            let limit = shared.config.connect_timeout;
            let greeted = tokio::time::timeout(limit, welcome(&shared, connection.clone())).await;
            match greeted.unwrap_or(Err(ReachError::GreetingTimedOut)) {
                Ok(()) => drop(connection.closed().await),
                Err(error) => refuse(&*connection, error, limit).await,
            }
            drop(place);
        });
    }
}

/// Closes a connection that was not taken. A peer that was told why leaves by itself: to close at
/// once could take the answer back before it is read.
async fn refuse(connection: &dyn Connection, error: ReachError, limit: Duration) {
    debug!(peer = %connection.peer(), %error, "a connection was not taken");
    if let ReachError::Unwelcome { code, reason } = error {
        let _ = tokio::time::timeout(limit, connection.closed()).await;
        return connection.close(u32::from(code.number()), &reason);
    }
    connection.close(u32::from(Code::BadRequest.number()), "no greeting");
}

async fn welcome(shared: &Arc<Shared>, connection: Arc<dyn Connection>) -> Result<(), ReachError> {
    let greeted = greeting::take_hello(&*connection).await?;
    let link = Link { connection, lane: greeted.lane, incarnation: greeted.incarnation };
    if shared.is_draining() {
        return Err(greeted.turn_away(Code::Draining, "going down").await);
    }
    if let Err(outdated) = shared.peers.insert(link.clone(), Origin::Accepted) {
        let reason = format!("a newer boot ({}) of this node is known", outdated.known);
        return Err(greeted.turn_away(Code::Incompatible, &reason).await);
    }
    greeted.welcome(shared.parts.incarnation).await?;
    incoming::spawn(shared, link);
    Ok(())
}
