//! What the taps of a watch counted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use peerstream_shape::Direction;
use peerstream_snapshot::Generation;
use peerstream_transport::access::Verb;
use peerstream_types::{Digest, NodeId, ShardId};
use peerstream_wire::message::OfferV1;

use super::ballots::Ballots;
use super::kept::Stored;
use super::ledger::Ledger;
use super::meter::Piece;
use super::view::Visible;
use crate::reach::{Group, Reach};

/// Data streams in one direction with one peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moved {
    /// Streams that began.
    pub streams: u64,
    /// Bytes behind their headers: records with their headers, pages, chaining values.
    pub payload: u64,
    /// Bytes of content.
    pub content: u64,
}

/// What a peer got although no rule allows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Denied {
    /// Bytes sent to it while no rule allowed it anything.
    pub bytes: u64,
    /// A rule allowed it something before.
    pub was_permitted: bool,
}

/// What was seen of one node, over all of its lives.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeBooks {
    /// Data streams to each peer.
    pub sent: BTreeMap<NodeId, Moved>,
    /// Data streams from each peer.
    pub received: BTreeMap<NodeId, Moved>,
    /// Bytes that the shaper let pass, to or from whom.
    pub charged: BTreeMap<(Direction, Option<NodeId>), u64>,
    /// What peers got of what they may not have: what is listed, and content with what proves it.
    pub denied: BTreeMap<(NodeId, Verb), Denied>,
    /// What the store took.
    pub stored: Stored,
    /// Times that the node booted.
    pub boots: u64,
    /// Snapshots that its engine has open, in its present life.
    pub leases: u64,
    /// Shards that the engine began to receive.
    pub staged: BTreeSet<ShardId>,
    /// Who has offered what of each in this life, since it was published last.
    pub(super) offers: BTreeMap<ShardId, BTreeMap<NodeId, BTreeSet<Option<Digest>>>>,
    /// What each that was published had to go by.
    pub ballots: Vec<(ShardId, Ballots)>,
    /// The last generation of each that its store said was published.
    pub published: BTreeMap<ShardId, Generation>,
    /// The last generation of each that was seen there.
    shown: BTreeMap<ShardId, Generation>,
}

impl NodeBooks {
    /// Content that came, from all peers.
    pub fn content_received(&self) -> u64 {
        self.received.values().map(|moved| moved.content).sum()
    }

    /// A generation is visible there. It may be one that a process published with its last breath: then
    /// nothing of it is staged any more, though nobody was told.
    pub(super) fn shows(&mut self, shard: &ShardId, generation: Generation) {
        let before = self.shown.insert(shard.clone(), generation);
        if before.max(self.published.get(shard).copied()).is_none_or(|known| known < generation) {
            self.stored.published(shard);
        }
    }

    /// What the shaper let pass to or from a peer.
    pub fn charged(&self, direction: Direction, peer: &NodeId) -> u64 {
        self.charged.get(&(direction, Some(peer.clone()))).copied().unwrap_or(0)
    }
}

/// What was seen of a run.
#[derive(Debug, Default)]
pub struct Books {
    /// Node by node.
    pub nodes: BTreeMap<NodeId, NodeBooks>,
    /// What sources published.
    pub ledger: Ledger,
    /// What was visited.
    pub reach: Reach,
    /// What was visible between two looks, at moments that matter.
    pub(super) glimpses: Vec<(NodeId, ShardId, Visible)>,
}

impl Books {
    pub(super) fn node(&mut self, node: &NodeId) -> &mut NodeBooks {
        self.nodes.entry(node.clone()).or_default()
    }

    /// A peer has offered snapshots to a node.
    pub(super) fn offered(&mut self, node: &NodeId, peer: &NodeId, offers: &[OfferV1]) {
        let books = self.node(node);
        for offer in offers {
            let heard = books.offers.entry(offer.shard.clone()).or_default();
            heard.entry(peer.clone()).or_default().insert(offer.header.digest);
        }
    }

    pub(super) fn moved(&mut self, node: &NodeId, peer: &NodeId, direction: Direction, piece: &Piece) {
        for code in &piece.codes {
            self.reach.hit(Group::Code, code);
        }
        let books = self.node(node);
        let side = if direction == Direction::Send { &mut books.sent } else { &mut books.received };
        let moved = side.entry(peer.clone()).or_default();
        moved.streams += u64::from(piece.began);
        moved.payload += piece.payload;
        moved.content += piece.content;
    }
}

/// Books that taps share.
#[derive(Debug, Clone, Default)]
pub(super) struct SharedBooks(Arc<Mutex<Books>>);

impl SharedBooks {
    pub(super) fn lock(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an error by the name of its variant.
    pub(super) fn error(&self, of: &str, error: &impl std::fmt::Debug) {
        self.lock().reach.hit(Group::Error, format_args!("{of}::{}", variant(error)));
    }
}

/// The name of a variant, as its derived `Debug` begins.
fn variant(value: &impl std::fmt::Debug) -> String {
    let shown = format!("{value:?}");
    shown.chars().take_while(|c| c.is_alphanumeric()).collect()
}
