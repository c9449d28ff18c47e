//! Facts about dialling and accepting.

use peerstream_types::NodeId;

use super::join::{alongside, join};
use super::{Broken, Linked, Pair, Verdict, ensure, ensure_eq};
use crate::{ConnectError, ConnectionError, Lane, Target};

pub(super) async fn both_ends_know_each_other(pair: Pair) -> Verdict {
    let Linked { near, far, pair } = pair.connect().await?;
    ensure_eq("the dialler's view of its peer", near.peer(), &pair.acceptor_identity)?;
    ensure_eq("the acceptor's view of its peer", far.peer(), &pair.dialler_identity)?;
    ensure_eq("the dialler's remote address", near.remote_addr(), pair.acceptor.local_addr())
}

pub(super) async fn any_member_may_answer_when_no_node_is_named(pair: Pair) -> Verdict {
    let target = Target { node: None, ..pair.target() };
    let (near, _far) = join(pair.dialler.connect(&target, Lane::Control), pair.acceptor.accept()).await;
    ensure_eq("who answered", near?.peer(), &pair.acceptor_identity)
}

pub(super) async fn another_node_at_the_address_is_refused(pair: Pair) -> Verdict {
    let stranger = NodeId::new("nobody-has-this-id").map_err(|error| Broken::new(error.to_string()))?;
    let target = Target { node: Some(stranger), ..pair.target() };
    let dialled = alongside(pair.dialler.connect(&target, Lane::Bulk), pair.acceptor.accept()).await;
    match dialled {
        Err(ConnectError::WrongNode { target: named, .. }) => ensure_eq("the named target", named, target),
        other => Err(Broken::new(format!("dialling another node gave {other:?}, wanted WrongNode"))),
    }
}

pub(super) async fn accepting_ends_when_the_transport_closes(pair: Pair) -> Verdict {
    let Linked { near, far, pair } = pair.connect().await?;
    let (accepted, ()) = join(pair.acceptor.accept(), pair.acceptor.close()).await;
    ensure(accepted.is_none(), || "an accept that waited got a connection from close".into())?;
    ensure(pair.acceptor.accept().await.is_none(), || "accept after close got a connection".into())?;
    ensure_eq("the acceptor's connection", far.closed().await, ConnectionError::ClosedLocally)?;
    let told = near.closed().await;
    ensure(matches!(told, ConnectionError::ClosedByPeer { .. }), || {
        format!("the peer of a closed transport was told {told:?}, wanted ClosedByPeer")
    })
}

pub(super) async fn a_closed_transport_does_not_dial(pair: Pair) -> Verdict {
    pair.dialler.close().await;
    let dialled = pair.dialler.connect(&pair.target(), Lane::Bulk).await;
    ensure(matches!(dialled, Err(ConnectError::Closed)), || {
        format!("a closed transport dialled: {dialled:?}, wanted Closed")
    })
}
