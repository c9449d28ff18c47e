//! Opening a session with a peer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use peerstream_session::Session;
use peerstream_shape::Class;
use peerstream_transport::Lane;
use peerstream_types::{NodeId, OfferId, Operation, PlanId, Role, SessionId};
use peerstream_wire::message::{InitV1, OfferV1, Preview, RequestV1};
use peerstream_wire::{Extensions, Minor, StreamKind, Text};
use tokio::sync::oneshot;

use super::{Driver, Hold, Lease, SessionHandle};
use crate::io::{ControlStream, StreamReader};
use crate::peers::{ReachError, Unreached, reach};
use crate::regards::Incident;
use crate::shared::Shared;
use crate::watch;

/// A peer's offer, and the session that carries it.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) session: SessionHandle,
    pub(crate) offer: OfferV1,
    pub(crate) hold: Hold,
}

impl Opened {
    pub(crate) fn new(session: SessionHandle, offer: OfferV1) -> Self {
        let hold = Hold::new(session.clone(), offer.offer);
        Self { session, offer, hold }
    }
}

/// Why a peer offered nothing.
#[derive(Debug, Clone)]
pub(crate) struct OpeningFailed {
    pub(crate) reason: String,
    pub(crate) retry_after: Option<Duration>,
    /// Asking this peer again is useless.
    pub(crate) permanent: bool,
    /// The peer answered, and said no; otherwise it was not reached or was lost.
    pub(crate) refused: bool,
    /// The dial or session that came to nothing, unless this node is at fault.
    pub(crate) incident: Option<Incident>,
}

impl OpeningFailed {
    pub(crate) fn lost(reason: impl Into<String>, incident: Option<Incident>) -> Self {
        Self { reason: reason.into(), retry_after: None, permanent: false, refused: false, incident }
    }
}

impl From<Unreached> for OpeningFailed {
    fn from(Unreached { why, incident }: Unreached) -> Self {
        let (permanent, retry_after) = (why.is_permanent(), why.retry_after());
        let refused = permanent || retry_after.is_some();
        let incident = (!why.is_own()).then_some(incident);
        Self { reason: why.to_string(), retry_after, permanent, refused, incident }
    }
}

/// What a peer answered to one request.
pub(crate) type Opening = Result<Opened, OpeningFailed>;

/// A shard wanted from the peer, and who waits for its offer.
pub(crate) struct Wanted {
    pub(crate) request: RequestV1,
    pub(crate) reply: oneshot::Sender<Opening>,
}

/// A snapshot offered to the peer.
pub(crate) struct Outgoing {
    pub(crate) offer: OfferV1,
    pub(crate) lease: Lease,
    /// Told why, if the peer does not take it.
    pub(crate) refused: oneshot::Sender<OpeningFailed>,
}

/// Which session is to be opened.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) plan: PlanId,
    pub(crate) operation: Operation,
    pub(crate) peer: NodeId,
    pub(crate) index: u32,
    /// Calls the plan off.
    pub(crate) abort: watch::Receiver<Option<String>>,
    /// Names the session in what its peer is blamed for.
    pub(crate) incident: Incident,
}

/// Opens a session with a peer and prepares it. Answers come through `wanted` and `outgoing`.
pub(crate) async fn initiate(
    shared: Arc<Shared>,
    route: Route,
    wanted: Vec<Wanted>,
    outgoing: Vec<Outgoing>,
) {
    match open(&shared, &route).await {
        Ok(control) => start(shared, route, control, wanted, outgoing),
        Err(error) => {
            let failed = OpeningFailed::from(error);
            wanted.into_iter().for_each(|wanted| drop(wanted.reply.send(Err(failed.clone()))));
            outgoing.into_iter().for_each(|outgoing| drop(outgoing.refused.send(failed.clone())));
        }
    }
}

async fn open(shared: &Arc<Shared>, route: &Route) -> Result<ControlStream, Unreached> {
    let link = reach(shared, &route.peer, Lane::Control).await?;
    reach(shared, &route.peer, Lane::Bulk).await?;
    let (send, recv) = link.connection.open_bi().await.map_err(ReachError::from)?;
    let mut control = ControlStream::new(send, StreamReader::new(recv));
    control.queue_raw(Bytes::copy_from_slice(&[StreamKind::Control.byte()]));
    Ok(control)
}

fn start(
    shared: Arc<Shared>,
    route: Route,
    control: ControlStream,
    wanted: Vec<Wanted>,
    outgoing: Vec<Outgoing>,
) {
    let Route { plan, operation, peer, index, abort, incident } = route;
    let init = InitV1 {
        minors: (Minor::OLDEST, Minor::NEWEST),
        plan,
        index,
        operation,
        preview: Preview::Off,
        cluster: shared.parts.cluster.clone(),
        incarnation: shared.parts.incarnation,
        trace: Text::default(),
        extensions: Extensions::default(),
    };
    let identity =
        peerstream_transport::PeerIdentity { cluster: shared.parts.cluster.clone(), node: peer.clone() };
    let id = SessionId { plan, peer, index, role: Role::Initiator };
    let now = shared.clock.now();
    let session = Session::initiate(now, shared.config.session.clone(), id, init);
    let class = Class::of(operation);
    let (driver, handle) =
        Driver::new(shared.clone(), session, identity, class, Some(control), abort, incident);
    if !shared.sessions.insert(handle) {
        return fail_all(wanted, outgoing, "this node has as many sessions as it may have");
    }
    tokio::spawn(driver.initiating(wanted, outgoing).run());
}

/// Tells all who wait that this node could not do it.
fn fail_all(wanted: Vec<Wanted>, outgoing: Vec<Outgoing>, reason: &str) {
    let failed = OpeningFailed::lost(reason, None);
    wanted.into_iter().for_each(|wanted| drop(wanted.reply.send(Err(failed.clone()))));
    outgoing.into_iter().for_each(|outgoing| drop(outgoing.refused.send(failed.clone())));
}

/// The id of the `index`-th offer of a session: unique in its direction.
pub(crate) fn offer_id(index: usize) -> OfferId {
    OfferId(index as u64 + 1)
}
