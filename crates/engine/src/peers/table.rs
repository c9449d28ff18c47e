//! Which connections there are, by peer and lane.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use peerstream_select::Penalty;
use peerstream_transport::Lane;
use peerstream_types::{Incarnation, NodeId};

use super::Link;
use super::dial::Dialling;

/// What is known of a peer that this node has a connection with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStatus {
    /// The peer.
    pub node: NodeId,
    /// Where it is.
    pub addr: SocketAddr,
    /// Its boot.
    pub incarnation: Incarnation,
    /// Open connections, both lanes and both directions.
    pub connections: usize,
    /// What is held against it as a source, if anything is.
    pub penalty: Option<Penalty>,
}

/// Who dialled a connection. Two nodes that dial each other at once keep both connections and agree
/// on one by rule: the one that the smaller node id dialled is used first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    Dialled,
    Accepted,
}

/// The connections of this node.
#[derive(Debug)]
pub(crate) struct PeerTable {
    node: NodeId,
    peers: Mutex<BTreeMap<NodeId, Peer>>,
}

#[derive(Debug)]
struct Peer {
    incarnation: Incarnation,
    links: BTreeMap<(LaneKey, Origin), Link>,
    dialling: BTreeMap<LaneKey, Arc<Dialling>>,
}

type LaneKey = Lane;

/// A connection of an older boot than one already known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outdated {
    pub(crate) known: Incarnation,
}

impl PeerTable {
    pub(crate) fn new(node: NodeId) -> Self {
        Self { node, peers: Mutex::new(BTreeMap::new()) }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeId, Peer>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a greeted connection. A newer boot of the peer replaces all connections of older ones;
    /// an older boot is turned away.
    pub(crate) fn insert(&self, link: Link, origin: Origin) -> Result<(), Outdated> {
        let mut peers = self.lock();
        let peer = peers.entry(link.node().clone()).or_insert_with(|| Peer::new(link.incarnation));
        if link.incarnation < peer.incarnation {
            return Err(Outdated { known: peer.incarnation });
        }
        if link.incarnation > peer.incarnation {
            for old in std::mem::take(&mut peer.links).into_values() {
                old.connection.close(0, "replaced by a newer boot of the peer");
            }
            peer.incarnation = link.incarnation;
        }
        peer.links.insert((link.lane, origin), link);
        Ok(())
    }

    /// The open connection to use for a lane, if there is one.
    pub(crate) fn get(&self, node: &NodeId, lane: Lane) -> Option<Link> {
        let ours_first = self.node < *node;
        let order = if ours_first {
            [Origin::Dialled, Origin::Accepted]
        } else {
            [Origin::Accepted, Origin::Dialled]
        };
        let mut peers = self.lock();
        let peer = peers.get_mut(node)?;
        peer.links.retain(|_, link| link.is_open());
        order.into_iter().find_map(|origin| peer.links.get(&(lane, origin)).cloned())
    }

    /// What lets only one dial of a lane run at a time.
    pub(super) fn dialling(&self, node: &NodeId, lane: Lane) -> Arc<Dialling> {
        let mut peers = self.lock();
        let peer = peers.entry(node.clone()).or_insert_with(|| Peer::new(Incarnation(0)));
        peer.dialling.entry(lane).or_default().clone()
    }

    /// Forgets connections that have ended, and peers that have none.
    pub(crate) fn sweep(&self) {
        self.lock().retain(|_, peer| {
            peer.links.retain(|_, link| link.is_open());
            !peer.links.is_empty() || peer.dialling.values().any(|dials| Arc::strong_count(dials) > 1)
        });
    }

    /// Everyone with an open connection.
    pub(crate) fn status(&self, penalty: impl Fn(&NodeId) -> Option<Penalty>) -> Vec<PeerStatus> {
        self.sweep();
        let peers = self.lock();
        let known = peers.iter().filter_map(|(node, peer)| {
            let addr = peer.links.values().next()?.connection.remote_addr();
            let connections = peer.links.len();
            let (node, incarnation, penalty) = (node.clone(), peer.incarnation, penalty(node));
            Some(PeerStatus { node, addr, incarnation, connections, penalty })
        });
        known.collect()
    }
}

impl Peer {
    fn new(incarnation: Incarnation) -> Self {
        Self { incarnation, links: BTreeMap::new(), dialling: BTreeMap::new() }
    }
}
