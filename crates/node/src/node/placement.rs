//! Whom to ask: the config's peers, replaced when it is loaded afresh.

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use peerstream_placement::{Holder, Placement, ShardState, StaticPlacement};
use peerstream_types::{NodeId, ShardId};

use crate::config::Config;
use crate::failure::{Failure, Result};

/// The peers of a configuration.
pub(crate) fn of(config: &Config) -> Result<StaticPlacement> {
    let holders = config.peers.iter().map(|peer| Holder {
        node: peer.node.clone(),
        addr: peer.addr,
        state: ShardState::Available,
        datasets: peer.datasets.clone(),
        zone: None,
    });
    StaticPlacement::new(holders).map_err(|error| Failure::new(format!("peer: {error}")))
}

/// A placement that can be replaced; what is asked next is answered by the new one.
#[derive(Debug)]
pub(super) struct Replaceable(ArcSwap<StaticPlacement>);

impl Replaceable {
    pub(super) fn new(placement: StaticPlacement) -> Self {
        Self(ArcSwap::from_pointee(placement))
    }

    pub(super) fn replace(&self, placement: StaticPlacement) {
        self.0.store(Arc::new(placement));
    }
}

impl Placement for Replaceable {
    fn holders(&self, shard: &ShardId) -> Vec<Holder> {
        self.0.load().holders(shard)
    }

    fn addr_of(&self, node: &NodeId) -> Option<SocketAddr> {
        self.0.load().addr_of(node)
    }
}
