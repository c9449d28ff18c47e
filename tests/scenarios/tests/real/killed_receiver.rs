//! The receiver is killed half way: after its restart, what it had verified is not fetched again.

use devcluster::Running;
use peerstream_node::admin::model::PlanRequest;

use crate::support::{Scenario, assert_published, block_on, bring_up, client};

const MIB: usize = 1024 * 1024;
const LIMITS: &str = "[limits]\nwindow = \"4MiB\"\nfetch = \"1MiB\"\n";
const WINDOW: u64 = 4 * MIB as u64;

#[test]
fn a_killed_receiver_goes_on_where_it_was() {
    let scenario = Scenario::new();
    let content = scenario.content("content", &[("a", 90 * MIB), ("b", 30 * MIB)]);
    let donor = scenario.donor("donor", &content, "");
    let mut replica = scenario.replica("replica", &[&donor], LIMITS);
    let done = block_on(async {
        let client = client(&replica);
        let plan =
            client.start(&PlanRequest::Bootstrap { what: "files".into(), from: vec![] }).await.unwrap();
        let mut watch = client.watch(&plan.plan).await.unwrap();
        loop {
            let plan = watch.next().await.unwrap().expect("it goes on until it is killed");
            assert!(!plan.is_ended(), "it was over before it could be killed");
            if plan.bytes_done > 15 * MIB as u64 {
                replica.kill().unwrap();
                return plan.bytes_done;
            }
        }
    });
    let replica = Running::start(replica.dir().clone()).unwrap();
    let plan = bring_up(&replica);
    assert_published(&replica, 1, &content);
    let held = plan.shards[0].bytes_held;
    assert!(held + WINDOW >= done, "{held} bytes were held, {done} had been verified");
}
