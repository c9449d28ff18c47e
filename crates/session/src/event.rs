//! What a session tells its driver.

use std::fmt;
use std::time::Duration;

use peerstream_types::{ByteCount, ChunkRange, EntryKey, FetchId, OfferId, Ordinal, PageToken, Span};
use peerstream_wire::Code;
use peerstream_wire::message::{InitAckV1, InitV1, OfferV1, RefusalV1, ReleaseReason, RequestV1};

use crate::state::State;

/// What a session tells its driver. Texts of the peer are safe to print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Follower: a peer wants a session. Answer with [`accept`](crate::Session::accept) or
    /// [`refuse`](crate::Session::refuse).
    Init(InitV1),
    /// Follower: the same Init came again. Use the control stream that it came on from now on.
    Attached,
    /// Initiator: the follower took the session. Answer with [`prepare`](crate::Session::prepare).
    Accepted(InitAckV1),
    /// Initiator: the follower did not. [`Event::Ended`] follows.
    Refused {
        /// Why.
        code: Code,
        /// In words.
        reason: String,
        /// When to come back, if the follower said so.
        retry_after: Option<Duration>,
    },
    /// Follower: what the initiator wants and offers, all pages. Answer with
    /// [`answer`](crate::Session::answer). Does not come for an empty session, which needs no answer.
    Prepared {
        /// Shards wanted.
        requests: Vec<RequestV1>,
        /// Shards offered.
        offers: Vec<OfferV1>,
    },
    /// Initiator: what the follower offers and refuses, all pages. Each own offer that it refused is
    /// also [`Event::Released`].
    Offered {
        /// Shards offered.
        offers: Vec<OfferV1>,
        /// Requests that are refused.
        refused_requests: Vec<RefusalV1>,
        /// Offers that are refused.
        refused_offers: Vec<RefusalV1>,
    },
    /// Source: the peer asks for pages. Send them on an inventory stream, then say
    /// [`served`](crate::Session::served); or [`request_failed`](crate::Session::request_failed).
    ListRequested {
        /// Names the request.
        request: FetchId,
        /// An own offer, not released.
        offer: OfferId,
        /// Where the listing begins.
        token: PageToken,
        /// How many pages at the most; at least one.
        pages: u32,
    },
    /// Source: the peer asks for nodes of the digest tree of an inventory. Send them on a tree stream, and
    /// so on as above.
    TreeRequested {
        /// Names the request.
        request: FetchId,
        /// An own offer, not released.
        offer: OfferId,
        /// Which level: 0 are the leaves, `None` is the root.
        level: Option<u8>,
        /// Nodes that begin with this key or a later one; `None` is open.
        start: Option<EntryKey>,
        /// Nodes that begin before this key; `None` is open.
        end: Option<EntryKey>,
    },
    /// Source: the peer asks for entries by their ordinals. Send those that fit on an inventory stream,
    /// and so on as above.
    RunRequested {
        /// Names the request.
        request: FetchId,
        /// An own offer, not released.
        offer: OfferId,
        /// The first entry.
        first: Ordinal,
        /// How many at the most; at least one.
        count: u32,
    },
    /// Source: the peer asks for chaining values. Send them on an outline stream, and so on as above.
    OutlineRequested {
        /// Names the request.
        request: FetchId,
        /// An own offer, not released.
        offer: OfferId,
        /// The entry.
        ordinal: Ordinal,
        /// Which level of its tree: 0 are the chunks.
        level: u8,
        /// Which values.
        range: ChunkRange,
    },
    /// Source: the peer asks for content. Send it on a records stream, and so on as above.
    FetchRequested {
        /// Names the request.
        request: FetchId,
        /// An own offer, not released.
        offer: OfferId,
        /// What is wanted.
        spans: Vec<Span>,
        /// How often the peer has asked for the first of them, counted from 1.
        attempt: u32,
    },
    /// Receiver: the peer cannot answer an outstanding request, or a part of it.
    RequestFailed {
        /// The request. With no spans it is not outstanding any longer.
        request: FetchId,
        /// Which part of it, in the peer's words; empty means all of it.
        spans: Vec<Span>,
        /// Why.
        code: Code,
        /// In words.
        reason: String,
    },
    /// Source: the peer has verified and stored these parts. Each part comes once (rows C11, C17d).
    Acknowledged {
        /// An own offer, not released.
        offer: OfferId,
        /// What the peer has not acknowledged before.
        spans: Vec<Span>,
    },
    /// Source: the peer is done with an own offer, or refused it. Stop serving it, drop its lease.
    /// Comes once for each; for offers without it, [`Event::Ended`] says the same.
    Released {
        /// The offer.
        offer: OfferId,
        /// Why; a refused offer is [`ReleaseReason::GivenUp`].
        reason: ReleaseReason,
    },
    /// The peer's node is going down: this session goes on, open no others.
    GoAway {
        /// When it will be gone, if it said so.
        gone_in: Option<Duration>,
    },
    /// The peer wants no more than this many bytes asked for and not yet sent, from now on.
    Throttled {
        /// Bytes.
        bytes: ByteCount,
    },
    /// The session has ended: once, and nothing comes after it. Send what
    /// [`poll_transmit`](crate::Session::poll_transmit) still gives, drop all leases.
    Ended(Outcome),
}

/// Which end ended a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum By {
    /// This end. If it completed: this end was the last to do its part.
    Local,
    /// The other end, or the way to it. If it completed: the other end was the last to do its part.
    Remote,
}

/// How a session ended. The first end sticks, whatever comes later (row C17b).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Completed, Failed or Aborted.
    pub state: State,
    /// Which end ended it.
    pub by: By,
    /// Why, for machines; `None` if it completed.
    pub code: Option<Code>,
    /// Why, for people; empty if it completed.
    pub reason: String,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.state)?;
        self.code.map_or(Ok(()), |code| write!(f, " ({code}): {}", self.reason))
    }
}
