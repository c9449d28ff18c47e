//! More replicas at once than a donor has room for: those who are in are served, the others get their
//! turn.

use std::time::Duration;

use peerstream_engine::EngineConfig;
use peerstream_sim::{Content, Network, NodeSpec, Sim, SimWorld, shard};
use tokio::time::Instant;

/// Brings replicas up that all start at once, each with one plan; says how long it took.
async fn bring_up(world: &SimWorld, donors: u32, replicas: u32, config: EngineConfig) -> Duration {
    let spec = |number| NodeSpec { config: config.clone(), ..NodeSpec::donor(&format!("donor-{number}")) };
    let donors = world.fleet(donors, spec);
    for donor in &donors {
        Content::small(8).fill(&donor.store, &shard(0), 1);
    }
    let started = Instant::now();
    let replicas = world.fleet(replicas, |number| NodeSpec::replica(&format!("replica-{number}")));
    let plans: Vec<_> = replicas.iter().map(|replica| replica.bring_up(&[shard(0)])).collect();
    for (plan, replica) in plans.into_iter().zip(&replicas) {
        let outcome = plan.await;
        assert!(outcome.is_completed(), "{}: {outcome:?}", replica.id);
        assert_eq!(replica.digest(&shard(0)).await, donors[0].digest(&shard(0)).await);
    }
    started.elapsed()
}

/// D7: whoever has a control connection also gets its bulk connection, and whoever has none goes on to the
/// next donor: nobody has to come again.
#[test]
fn a_crowd_spreads_over_the_donors() {
    for network in Network::ALL {
        Sim::new(network, 610).run(async |world| {
            let config = EngineConfig { connections_max: 16, ..EngineConfig::default() };
            let took = bring_up(&world, 5, 36, config).await;
            assert!(took < Duration::from_secs(4), "{took:?}");
        });
    }
}

/// One donor with room for a third of them: who is done makes room for those who wait, and these come
/// back one by one.
#[test]
fn a_crowd_takes_turns_at_one_donor() {
    for network in Network::ALL {
        Sim::new(network, 611).run(async |world| {
            let config = EngineConfig { connections_max: 16, ..EngineConfig::default() };
            let took = bring_up(&world, 1, 24, config).await;
            assert!(took < Duration::from_secs(60), "{took:?}");
        });
    }
}

/// D7: 1,100 replicas and the default settings.
#[test]
fn a_crowd_above_the_default_limits_comes_up() {
    Sim::new(Network::Memory, 612).run(async |world| {
        let took = bring_up(&world, 8, 1_100, EngineConfig::default()).await;
        assert!(took < Duration::from_secs(4), "{took:?}");
    });
}
