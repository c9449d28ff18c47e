//! What the two drivers do: one entry of one shard moves from the donor to the replica.

use std::error::Error;

use peerstream_session::{CommandError, Event, Session};
use peerstream_types::{
    ByteCount, ChunkSize, ClusterName, DatasetName, Digest, EntryCounts, Incarnation, ManifestHeader, NodeId,
    OfferId, Operation, Ordinal, PlanId, Role, Selector, SessionId, ShardId, Span, Timestamp,
};
use peerstream_wire::message::{InitAckV1, InitV1, OfferV1, PeerLimits, Preview, ReleaseReason, RequestV1};
use peerstream_wire::{Extensions, Features, Minor, Text};

/// Length of the entry in bytes.
pub const BYTES: u64 = 900;

/// The session as the replica names it.
pub fn peer_of_replica() -> Result<SessionId, Box<dyn Error>> {
    Ok(SessionId { plan: plan(), peer: NodeId::new("donor")?, index: 0, role: Role::Initiator })
}

/// The session as the donor names it.
pub fn peer_of_donor() -> Result<SessionId, Box<dyn Error>> {
    Ok(SessionId { plan: plan(), peer: NodeId::new("replica")?, index: 0, role: Role::Follower })
}

/// How the replica opens the session.
pub fn init() -> Result<InitV1, Box<dyn Error>> {
    Ok(InitV1 {
        minors: (Minor::OLDEST, Minor::NEWEST),
        plan: plan(),
        index: 0,
        operation: Operation::Bootstrap,
        preview: Preview::Off,
        cluster: ClusterName::new("demo.internal")?,
        incarnation: Incarnation(1),
        trace: Text::default(),
        extensions: Extensions::default(),
    })
}

/// The receiving end: wants the shard, fetches its entry, lets go of the offer.
pub fn replica(now: Timestamp, session: &mut Session, event: Event) -> Result<(), CommandError> {
    match event {
        Event::Accepted(_) => {
            let wanted = RequestV1 { shard: shard(), selector: Selector::All };
            session.prepare(now, vec![wanted], vec![])
        }
        Event::Offered { offers, .. } => {
            let (offer, entry) = (offers[0].offer, Span::entry(Ordinal(0)));
            let request = session.fetch(now, offer, vec![entry], 1)?;
            // Here the bytes come on a data stream, are verified and stored.
            session.request_done(now, request)?;
            session.received(now, offer, vec![entry], ByteCount(BYTES))?;
            session.release(now, offer, ReleaseReason::Done)
        }
        _ => Ok(()),
    }
}

/// The serving end: takes the session, offers the shard, serves what is asked for.
pub fn donor(now: Timestamp, session: &mut Session, event: Event) -> Result<(), CommandError> {
    match event {
        Event::Init(_) => session.accept(now, ack()),
        Event::Prepared { .. } => session.answer(now, vec![held()], vec![], vec![]),
        Event::FetchRequested { request, .. } => session.served(now, request),
        _ => Ok(()),
    }
}

fn plan() -> PlanId {
    PlanId::from_parts(1_790_000_000_000, 7)
}

fn shard() -> ShardId {
    ShardId::new(DatasetName::new("metrics").expect("it is a name"), 1, 0)
}

fn held() -> OfferV1 {
    let header = ManifestHeader {
        chunk_size: ChunkSize::DEFAULT,
        counts: EntryCounts { entries: 1, bytes: BYTES },
        digest: Some(Digest::Blake3([9; 32])),
        position: None,
        state: vec![],
    };
    OfferV1 { offer: OfferId(1), shard: shard(), selector: Selector::All, header }
}

fn ack() -> InitAckV1 {
    InitAckV1 {
        minor: Minor::NEWEST,
        features: Features::OURS,
        incarnation: Incarnation(2),
        limits: PeerLimits { requests: 64, bytes: 32 << 20 },
        extensions: Extensions::default(),
    }
}
