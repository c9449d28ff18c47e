//! What other tasks ask of a session's task.

use peerstream_select::KeyRange;
use peerstream_types::{ChunkRange, FetchId, OfferId, Ordinal, PageToken, Span};
use peerstream_wire::Code;
use peerstream_wire::message::{InitV1, OfferV1, RefusalV1, ReleaseReason};
use tokio::sync::oneshot;

use super::Request;
use crate::io::ControlStream;

/// A request to the peer.
#[derive(Debug, Clone)]
pub(crate) enum Ask {
    List { offer: OfferId, token: PageToken },
    Tree { offer: OfferId, level: Option<u8>, range: KeyRange },
    Run { offer: OfferId, first: Ordinal, count: u32 },
    Outline { offer: OfferId, ordinal: Ordinal, level: u8, range: ChunkRange },
    Fetch { offer: OfferId, spans: Vec<Span>, attempt: u32 },
}

/// What other tasks ask of a session's task.
pub(crate) enum Command {
    /// Ask the peer; the reply names the request.
    Ask { ask: Ask, reply: oneshot::Sender<Result<Request, String>> },
    /// Our request has ended: its stream was read, or we gave it up.
    Done(FetchId),
    /// The peer's request was answered with a stream, written to its end.
    Served(FetchId),
    /// The peer's request cannot be answered.
    CannotServe { request: FetchId, code: Code, reason: String },
    /// The follower's answer to Prepare.
    Answer { offers: Vec<OfferV1>, refused_requests: Vec<RefusalV1>, refused_offers: Vec<RefusalV1> },
    /// Content was verified and stored.
    Received { offer: OfferId, spans: Vec<Span>, bytes: u64 },
    /// An offer of the peer is no longer needed.
    Release { offer: OfferId, reason: ReleaseReason },
    /// The peer opened the session again on another stream (row C05).
    Attach { control: ControlStream, init: InitV1 },
}
