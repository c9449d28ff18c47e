//! Nodes that do not find, do not know and do not trust each other.

use std::sync::Arc;
use std::time::Duration;

use peerstream_engine::{Parts, PlanResult};
use peerstream_placement::{Holder, Placement};
use peerstream_sim::reach::Reach;
use peerstream_sim::seam::{Boot, Seam};
use peerstream_sim::{Network, NodeSpec, Sim, SimPlacement, shard};
use peerstream_types::{NodeId, ShardId};

use super::donor;

const MONTH_MS: i64 = 31 * 24 * 60 * 60 * 1000;

pub(crate) fn run(reach: &mut Reach) {
    unanswered(reach);
    renamed(reach);
    expired(reach);
    leaving(reach);
}

/// Dials that nobody answers, until the path is there.
fn unanswered(reach: &mut Reach) {
    super::run(reach, Sim::new(Network::Quic, 860), async |world| {
        let (donor, replica) = (donor(world, "donor"), world.replica("replica"));
        world.cut(&donor, &replica);
        let plan = replica.bring_up(&[shard(0)]);
        world.sleep(Duration::from_secs(15)).await;
        world.heal(&donor, &replica);
        assert!(plan.await.is_completed());
    });
}

/// The placement shows where another node is.
fn renamed(reach: &mut Reach) {
    super::run(reach, Sim::new(Network::Quic, 861), async |world| {
        world.attach(Arc::new(OldNames(world.placement().clone())));
        let _donor = donor(world, "donor");
        let replica = world.replica("replica");
        assert!(!replica.bring_up(&[shard(0)]).await.is_completed());
    });
}

/// A certificate that has expired by the clock of the other end.
fn expired(reach: &mut Reach) {
    super::run(reach, Sim::new(Network::Quic, 862), async |world| {
        let replica = NodeSpec { certificate_days: 30, ..NodeSpec::replica("replica") };
        let (donor, replica) = (donor(world, "donor"), world.start(replica));
        world.set_clock(&donor, MONTH_MS);
        assert!(!replica.bring_up(&[shard(0)]).await.is_completed());
    });
}

/// Nodes that go down: one refuses what comes over an open connection, one dials in vain at its end.
fn leaving(reach: &mut Reach) {
    for network in Network::ALL {
        super::run(reach, Sim::new(network, 863), async |world| {
            let (donor, replica) = (donor(world, "donor"), world.replica("replica"));
            donor.faults.delay_reads(Duration::from_millis(100));
            let first = replica.bring_up(&[shard(0)]);
            world.until(|| first.state().bytes_done() > 0).await;
            tokio::join!(donor.engine.shutdown(), async {
                world.sleep(Duration::from_millis(10)).await;
                assert!(!replica.bring_up(&[shard(1)]).await.is_completed(), "it is going down");
            });
            world.cut(&donor, &replica);
            let second = replica.bring_up(&[shard(0)]);
            world.sleep(Duration::from_secs(1)).await;
            replica.engine.shutdown().await;
            assert_eq!(second.await.result, PlanResult::Aborted);
            world.sleep(Duration::from_secs(10)).await;
        });
    }
}

/// A placement from before nodes changed their places: every holder has the name of an earlier one.
#[derive(Debug)]
struct OldNames(SimPlacement);

impl Seam for OldNames {
    fn wrap(&self, _: &Boot, parts: Parts) -> Parts {
        Parts { placement: Arc::new(Self(self.0.clone())), ..parts }
    }
}

impl Placement for OldNames {
    fn holders(&self, shard: &ShardId) -> Vec<Holder> {
        let old = |holder: Holder| Holder { node: Some(old_name()), ..holder };
        self.0.holders(shard).into_iter().map(old).collect()
    }

    fn addr_of(&self, node: &NodeId) -> Option<std::net::SocketAddr> {
        let donor = NodeId::new("donor").unwrap();
        self.0.addr_of(if *node == old_name() { &donor } else { node })
    }
}

fn old_name() -> NodeId {
    NodeId::new("earlier").unwrap()
}
