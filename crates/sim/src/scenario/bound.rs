//! How fast a scenario could be at best.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::FutureExt;
use peerstream_snapshot::{MemoryStore, Source};
use peerstream_types::{ByteRate, NodeId, Selector};

use super::{Fleet, RunOptions, Scenario, donor_names, replica_names};
use crate::fault::Fault;
use crate::network::{LinkSpec, Network, UNLIMITED};
use crate::node::shard;
use crate::oracle::{Fluid, Limit, Receiver};

/// What every datagram of QUIC holds besides content, in bytes, at the least: a short header with a
/// connection id of 8, a packet number of 1, a tag of 16, and the header of a stream frame of 3.
const QUIC_OVERHEAD: u64 = 29;

/// Links between two nodes that are slower than they were at the beginning.
type Slow = BTreeMap<[NodeId; 2], ByteRate>;

impl Scenario {
    /// The least time that caps and links allow for the content alone; `None` if they bound nothing. Links
    /// that a fault slows down count as slow for so long; other faults are not taken off, nor is what a cap
    /// lets pass at once before it begins to count: a short run may seem to be faster.
    pub fn bound(&self, options: &RunOptions) -> Option<Duration> {
        let mut fluid = self.fluid(options, self.bytes(options.seed), &Slow::new());
        let mut phases = self.phases(options).into_iter().peekable();
        let (mut since, mut left) = (Duration::ZERO, 1.0);
        loop {
            let (whole, limit) = fluid.bound();
            if limit == Limit::Nothing {
                return (since > Duration::ZERO).then_some(since);
            }
            let least = since + whole.mul_f64(left);
            let Some((at, slow)) = phases.next_if(|(at, _)| *at < least) else { return Some(least) };
            left -= (at - since).as_secs_f64() / whole.as_secs_f64();
            since = at;
            fluid = self.fluid(options, fluid.bytes, &slow);
        }
    }

    /// What bounds a run.
    pub(super) fn limit(&self, options: &RunOptions) -> Limit {
        self.fluid(options, 1, &Slow::new()).bound().1
    }

    /// When links become slow or right again, and which are slow from then on.
    fn phases(&self, options: &RunOptions) -> Vec<(Duration, Slow)> {
        let mut slow = Slow::new();
        let (mut phases, mut last) = (Vec::new(), Duration::ZERO);
        for (place, timed) in self.faults(options).iter().enumerate() {
            if options.without.contains(&place) {
                continue;
            }
            last = timed.at();
            if let Fault::Slow { a, b, rate_kib } = &timed.fault {
                slow.insert(pair(a, b), ByteRate::per_sec(rate_kib << 10));
            } else if let Fault::Heal { a, b } = &timed.fault {
                slow.remove(&pair(a, b));
            } else {
                continue;
            }
            phases.push((last, slow.clone()));
        }
        if !slow.is_empty() {
            phases.push((last + Duration::from_millis(self.mend_after_ms), Slow::new()));
        }
        phases
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

    fn fluid(&self, options: &RunOptions, bytes: u64, slow: &Slow) -> Fluid {
        let Fleet { donors, up_kib, down_kib, .. } = self.fleet;
        let link = self.link(options.network);
        let donors: Vec<NodeId> = donor_names(donors).collect();
        let replicas: Vec<NodeId> = replica_names(options.replicas).collect();
        let between = |one: &NodeId, other: &NodeId| {
            let slowed = (!slow.is_empty()).then(|| slow.get(&pair(one, other)).copied()).flatten();
            slowed.or((link.rate != UNLIMITED).then_some(link.rate))
        };
        let rate = |cap_kib: u64, node: &NodeId, peers: &[NodeId]| {
            let cap = (cap_kib > 0).then(|| ByteRate::per_sec(cap_kib << 10));
            let mut links = peers.iter().map(|peer| between(node, peer));
            let links = links.try_fold(0_u64, |sum, link| Some(sum.saturating_add(link?.bytes_per_sec())));
            let least = cap.into_iter().chain(links.map(ByteRate::per_sec)).min();
            least.map(|rate| goodput(options.network, &link, rate))
        };
        let receivers = replicas.iter().map(|node| Receiver::only_receives(rate(down_kib, node, &donors)));
        Fluid {
            bytes,
            receivers: receivers.collect(),
            seeds: donors.iter().map(|node| rate(up_kib, node, &replicas)).collect(),
        }
    }
}

/// Two nodes, whichever is named first.
fn pair(one: &NodeId, other: &NodeId) -> [NodeId; 2] {
    let mut both = [one.clone(), other.clone()];
    both.sort();
    both
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
