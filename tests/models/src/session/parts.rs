//! What the two nodes say to each other: one shard each way, of one entry.

use std::time::Duration;

use peerstream_session::Config;
use peerstream_types::{
    ChunkSize, ClusterName, DatasetName, Digest, EntryCounts, Incarnation, ManifestHeader, NodeId, OfferId,
    Operation, Ordinal, PlanId, Role, Selector, SessionId, ShardId, Span,
};
use peerstream_wire::message::{InitAckV1, InitV1, OfferV1, PeerLimits, Preview, RefusalV1, RequestV1};
use peerstream_wire::{Code, Extensions, Features, Minor, Text};

/// The shard that the initiator wants.
pub(super) const PULLED: u32 = 1;
/// The shard that the initiator offers.
pub(super) const PUSHED: u32 = 2;

/// Deadlines that differ from each other and from the keep-alive, so that each of them can be first.
pub(super) fn config(keep_alive: Duration) -> Config {
    Config {
        keep_alive,
        handshake_timeout: Duration::from_secs(15),
        prepare_timeout: Duration::from_secs(25),
        complete_timeout: Duration::from_secs(15),
        requests_in_flight_max: 2,
        requests_served_max: 2,
    }
}

fn plan() -> PlanId {
    PlanId::from_parts(1, 2)
}

pub(super) fn id(role: Role) -> SessionId {
    let peer = if role == Role::Initiator { "node-b" } else { "node-a" };
    let peer = NodeId::new(peer).expect("a good name");
    SessionId { plan: plan(), peer, index: 0, role }
}

pub(super) fn init(incarnation: u64) -> InitV1 {
    InitV1 {
        minors: (Minor::OLDEST, Minor::NEWEST),
        plan: plan(),
        index: 0,
        operation: Operation::Bootstrap,
        preview: Preview::Off,
        cluster: ClusterName::new("prod").expect("a good name"),
        incarnation: Incarnation(incarnation),
        trace: Text::default(),
        extensions: Extensions::default(),
    }
}

/// The follower's incarnation never matters to the machine, only that a new process is another one.
pub(super) fn ack(incarnation: u64) -> InitAckV1 {
    InitAckV1 {
        minor: Minor::NEWEST,
        features: Features::OURS,
        incarnation: Incarnation(incarnation),
        limits: PeerLimits { requests: 2, bytes: 1 << 20 },
        extensions: Extensions::default(),
    }
}

fn shard(index: u32) -> ShardId {
    ShardId::new(DatasetName::new("metrics").expect("a good name"), 1, index)
}

pub(super) fn request(index: u32) -> RequestV1 {
    RequestV1 { shard: shard(index), selector: Selector::All }
}

/// An offer of shard `index`; its id is the shard's index.
pub(super) fn offer(index: u32) -> OfferV1 {
    let header = ManifestHeader {
        chunk_size: ChunkSize::DEFAULT,
        counts: EntryCounts { entries: 1, bytes: 100 },
        digest: Some(Digest::Blake3([9; 32])),
        position: None,
        state: Vec::new(),
    };
    OfferV1 { offer: OfferId(index.into()), shard: shard(index), selector: Selector::All, header }
}

pub(super) fn refusal(index: u32) -> RefusalV1 {
    RefusalV1 { shard: shard(index), selector: Selector::All, code: Code::NotFound, reason: Text::cut("no") }
}

pub(super) fn entry() -> Span {
    Span::entry(Ordinal(0))
}
