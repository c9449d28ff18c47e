//! How fast a scenario could be at best.

use std::time::Duration;

use futures_util::FutureExt;
use peerstream_snapshot::{MemoryStore, Source};
use peerstream_types::{ByteRate, Selector};

use super::{Fleet, RunOptions, Scenario};
use crate::network::{LinkSpec, Network, UNLIMITED};
use crate::node::shard;
use crate::oracle::{Fluid, Limit, Receiver};

/// What every datagram of QUIC holds besides content, in bytes, at the least: a short header with a
/// connection id of 8, a packet number of 1, a tag of 16, and the header of a stream frame of 3.
const QUIC_OVERHEAD: u64 = 29;

impl Scenario {
    /// The least time that caps and links allow for the content alone; `None` if they bound nothing.
    /// What a cap lets pass at once before it begins to count is not taken off: a short run may seem to
    /// be faster.
    pub fn bound(&self, options: &RunOptions) -> Option<Duration> {
        let (least, limit) = self.fluid(options, self.bytes(options.seed)).bound();
        (limit != Limit::Nothing).then_some(least)
    }

    /// What bounds a run.
    pub(super) fn limit(&self, options: &RunOptions) -> Limit {
        self.fluid(options, 1).bound().1
    }

    /// Bytes of content that every replica is to get.
    fn bytes(&self, seed: u64) -> u64 {
        let store = MemoryStore::new();
        let shards = (0..self.content.shards).map(shard);
        let counted = shards.map(|shard| {
            self.content().fill(&store, &shard, seed);
            let opened = store.open(&shard, &Selector::All).now_or_never();
            opened.and_then(Result::ok).map_or(0, |snapshot| snapshot.header().counts.bytes)
        });
        counted.sum()
    }

    fn fluid(&self, options: &RunOptions, bytes: u64) -> Fluid {
        let Fleet { donors, up_kib, down_kib, .. } = self.fleet;
        let link = self.link(options.network);
        let rate = |cap_kib: u64, peers: u32| {
            let cap = (cap_kib > 0).then(|| ByteRate::per_sec(cap_kib << 10));
            let links = (link.rate != UNLIMITED)
                .then(|| ByteRate::per_sec(link.rate.bytes_per_sec().saturating_mul(peers.into())));
            cap.into_iter().chain(links).min().map(|rate| goodput(options.network, &link, rate))
        };
        let receiver = Receiver::only_receives(rate(down_kib, donors));
        Fluid {
            bytes,
            seeds: vec![rate(up_kib, options.replicas); donors as usize],
            receivers: vec![receiver; options.replicas as usize],
        }
    }
}

/// What is left of a rate for content.
fn goodput(network: Network, link: &LinkSpec, rate: ByteRate) -> ByteRate {
    match network {
        Network::Memory => rate,
        Network::Quic => {
            let mtu = u64::from(link.mtu).max(QUIC_OVERHEAD + 1);
            let bytes = u128::from(rate.bytes_per_sec()) * u128::from(mtu - QUIC_OVERHEAD) / u128::from(mtu);
            ByteRate::per_sec(u64::try_from(bytes).unwrap_or(u64::MAX))
        }
    }
}
