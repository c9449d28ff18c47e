//! Nodes that go down in good order.

use std::time::Duration;

use peerstream_engine::PlanResult;
use peerstream_sim::{Network, Sim, shard};

/// Promise 7: a plan that has no session when its node goes down, because its source is not back yet, is
/// called off with that reason. It does not go on, and no source is said to have refused it.
#[test]
fn a_plan_between_two_sessions_is_called_off_at_shutdown() {
    for network in Network::ALL {
        Sim::new(network, 890).run(async |world| {
            let (donor, replica) = (world.donor("donor"), world.replica("replica"));
            donor.store.create(&shard(0));
            world.crash(&donor);
            let plan = replica.bring_up(&[shard(0)]);
            world.sleep(Duration::from_millis(500)).await;
            replica.engine.shutdown().await;
            let outcome = plan.await;
            assert_eq!(outcome.result, PlanResult::Aborted, "{outcome:?}");
            assert!(outcome.shards[0].outcome.to_string().contains("this node is going down"));
        });
    }
}
