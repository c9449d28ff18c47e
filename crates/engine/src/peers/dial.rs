//! Reaching a peer: the connection that is there, or a new one.

use std::sync::Arc;

use peerstream_transport::{Connection, Lane, Target};
use peerstream_types::NodeId;

use super::table::Origin;
use super::{Link, ReachError, greeting, incoming};
use crate::shared::Shared;

/// The connection to a peer for a lane: the open one, or a dialled one. One dial at a time per peer
/// and lane; the others wait for its result.
pub(crate) async fn reach(shared: &Arc<Shared>, node: &NodeId, lane: Lane) -> Result<Link, ReachError> {
    if let Some(link) = shared.peers.get(node, lane) {
        return Ok(link);
    }
    let lock = shared.peers.dial_lock(node, lane);
    let _one_at_a_time = lock.lock().await;
    if let Some(link) = shared.peers.get(node, lane) {
        return Ok(link);
    }
    let addr = shared.parts.placement.addr_of(node).or_else(|| shared.addr_heard_of(node));
    let addr = addr.ok_or_else(|| ReachError::NoAddress(node.clone()))?;
    connect(shared, &Target { addr, node: Some(node.clone()) }, lane).await
}

/// Dials, greets, and keeps the connection.
pub(crate) async fn connect(shared: &Arc<Shared>, target: &Target, lane: Lane) -> Result<Link, ReachError> {
    let limit = shared.config.connect_timeout;
    let attempt = async {
        let connection = shared.parts.transport.connect(target, lane).await?;
        let incarnation = greeting::greet(&*connection, lane, shared.parts.incarnation).await?;
        Ok::<_, ReachError>((connection, incarnation))
    };
    let (connection, incarnation): (Arc<dyn Connection>, _) =
        tokio::time::timeout(limit, attempt).await.map_err(|_| ReachError::GreetingTimedOut)??;
    let link = Link { connection, lane, incarnation };
    if let Err(outdated) = shared.peers.insert(link.clone(), Origin::Dialled) {
        link.connection.close(0, "an older boot");
        let reason = format!("it is boot {incarnation}, but boot {} was seen before", outdated.known);
        return Err(ReachError::Unwelcome { code: peerstream_wire::Code::Incompatible, reason });
    }
    shared.hear_of(link.node(), target.addr);
    incoming::spawn(shared, link.clone());
    Ok(link)
}
