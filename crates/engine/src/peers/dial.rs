//! Reaching a peer: the connection that is there, or a new one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use peerstream_transport::{Connection, Lane, Target};
use peerstream_types::NodeId;

use super::table::Origin;
use super::{Link, ReachError, Unreached, greeting, incoming};
use crate::shared::Shared;

/// The dials of one lane to one peer: one at a time, and those who wait for it share how it ends.
#[derive(Debug, Default)]
pub(super) struct Dialling {
    /// Dials that have ended.
    ended: AtomicU64,
    /// Held while one runs; how the last one failed.
    failed: tokio::sync::Mutex<Option<Unreached>>,
}

/// The connection to a peer for a lane: the open one, or a dialled one. One dial at a time per peer
/// and lane; the others wait for its result, good or bad.
pub(crate) async fn reach(shared: &Arc<Shared>, node: &NodeId, lane: Lane) -> Result<Link, Unreached> {
    if let Some(link) = shared.peers.get(node, lane) {
        return Ok(link);
    }
    let dialling = shared.peers.dialling(node, lane);
    let before = dialling.ended.load(Ordering::Relaxed);
    let mut failed = dialling.failed.lock().await;
    if let Some(link) = shared.peers.get(node, lane) {
        return Ok(link);
    }
    if dialling.ended.load(Ordering::Relaxed) != before
        && let Some(error) = &*failed
    {
        return Err(error.clone());
    }
    let addr = shared.parts.placement.addr_of(node).or_else(|| shared.addr_heard_of(node));
    let addr = addr.ok_or_else(|| ReachError::NoAddress(node.clone()))?;
    let dialled = connect(shared, &Target { addr, node: Some(node.clone()) }, lane).await;
    let dialled = dialled.map_err(Unreached::from);
    *failed = dialled.as_ref().err().cloned();
    dialling.ended.fetch_add(1, Ordering::Relaxed);
    dialled
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
