//! What is not allowed, not there, not possible, too much.

use std::sync::Arc;
use std::time::Duration;

use peerstream_engine::{Dataset, EngineConfig};
use peerstream_sim::reach::Reach;
use peerstream_sim::{Content, Network, NodeSpec, Sim, SimWorld, shard};
use peerstream_snapshot::MemoryStore;
use peerstream_transport::access::AccessRules;
use peerstream_types::{ClusterName, DatasetName, ShardId};

use super::donor;

pub(crate) fn run(reach: &mut Reach) {
    for network in Network::ALL {
        super::run(reach, Sim::new(network, 403), is_denied_half_way);
        super::run(reach, Sim::new(network, 400), async |world| {
            let (donor, replica) = (donor(world, "donor"), world.replica("replica"));
            assert!(!replica.bring_up(&[shard(99)]).await.is_completed(), "nobody has it");
            assert!(!donor.push(&[shard(0)], &replica).await.is_completed(), "it may not push");
            donor.access.replace(AccessRules::deny_all());
            assert!(!replica.bring_up(&[shard(0)]).await.is_completed(), "it may not read");
            replica.access.replace(AccessRules::members_may_do_everything());
            let logs = DatasetName::new("logs").unwrap();
            let source = Some(Arc::new(MemoryStore::clone(&donor.store)) as _);
            donor.datasets.insert(logs.clone(), Dataset { source, sink: None, ..Dataset::default() });
            let elsewhere = ShardId::new(logs, 1, 0);
            Content::small(3).fill(&donor.store, &elsewhere, 1);
            assert!(!donor.push(&[elsewhere], &replica).await.is_completed(), "it is not received there");
        });
        super::run(reach, Sim::new(network, 401), async |world| {
            let _donor = donor(world, "donor");
            let cluster = ClusterName::new("other.internal").unwrap();
            let stranger = world.start(NodeSpec { cluster, ..NodeSpec::replica("stranger") });
            assert!(!stranger.bring_up(&[shard(0)]).await.is_completed());
        });
        super::run(reach, Sim::new(network, 402), async |world| {
            let config = EngineConfig { sessions_max: 1, ..EngineConfig::default() };
            let busy = world.start(NodeSpec { config, ..NodeSpec::donor("busy") });
            Content::large(2, 1 << 20).fill(&busy.store, &shard(0), 1);
            busy.faults.delay_reads(Duration::from_millis(50));
            let replicas = world.fleet(3, |number| NodeSpec::replica(&format!("replica-{number}")));
            let plans: Vec<_> = replicas.iter().map(|replica| replica.bring_up(&[shard(0)])).collect();
            for plan in plans {
                assert!(plan.await.is_completed());
            }
        });
    }
}

/// A replica may not read any more when it asks for the second page.
async fn is_denied_half_way(world: &SimWorld) {
    let donor = world.donor("donor");
    Content::small(5_000).fill(&donor.store, &shard(0), 1);
    donor.faults.delay_reads(Duration::from_millis(5));
    let mut config = EngineConfig::default();
    config.recovery.entries_ahead = 1;
    let replica = world.start(NodeSpec { config, ..NodeSpec::replica("replica") });
    let plan = replica.bring_up(&[shard(0)]);
    world.until(|| plan.state().bytes_done() > 0).await;
    donor.access.replace(AccessRules::deny_all());
    assert!(!plan.await.is_completed(), "it may not read the rest");
}
