//! SIGTERM stops a node in order: nothing is left behind, and what is under way may end.

use devcluster::SERVE_EVERYTHING;

use crate::support::{Scenario, assert_published, block_on, bring_up, client, say, status};
use peerstream_node::admin::model::PlanRequest;

const MIB: usize = 1024 * 1024;

#[test]
fn sigterm_is_graceful() {
    let scenario = Scenario::new();
    let content = scenario.content("content", &[("a", 1_000)]);
    let mut node = scenario.donor("node", &content, "");
    let seen = status(&node);
    assert_eq!((seen.node.as_str(), seen.ready, seen.listen), ("node", true, node.addr()));
    let table = say(&mut node.command("status"));
    assert!(table.out.contains("files@1"), "{table:?}");
    assert!(node.terminate().unwrap().success(), "{}", node.log().tail());
    node.log().wait_for("stopped", crate::support::LIMIT).unwrap();
    assert!(!node.dir().socket().exists(), "the socket is gone");
    assert!(!node.dir().data().join("listen").exists(), "so is the address");
    let said = say(&mut node.command("status"));
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("no node answers at"), "{}", said.err);
}

#[test]
fn a_donor_that_is_asked_to_stop_ends_what_it_serves() {
    let scenario = Scenario::new();
    let content = scenario.content("content", &[("a", 64 * MIB)]);
    let limits = "[limits]\nwindow = \"2MiB\"\nfetch = \"512KiB\"\n";
    let mut donor = scenario.donor("donor", &content, "[limits]\ndrain_timeout = \"60s\"\n");
    let replica = scenario.replica("replica", &[&donor], limits);
    let ended = block_on(async {
        let client = client(&replica);
        let plan =
            client.start(&PlanRequest::Bootstrap { what: "files".into(), from: vec![] }).await.unwrap();
        let mut watch = client.watch(&plan.plan).await.unwrap();
        let (mut asked, mut last) = (false, plan);
        while let Some(plan) = watch.next().await.unwrap() {
            if !asked && plan.bytes_done > 0 {
                donor.ask_to_stop().unwrap();
                asked = true;
            }
            last = plan;
        }
        last
    });
    assert!(ended.is_completed(), "{ended:?}\n{}", donor.log().tail());
    assert!(donor.wait().unwrap().success());
}

/// MI-09, MI-15: a restarted node still has what it published, and serves it when nobody else is left.
#[test]
fn a_restarted_node_still_has_what_it_published() {
    let scenario = Scenario::new();
    let content = scenario.content("content", &[("a", 100_000)]);
    let mut donor = scenario.donor("donor", &content, "");
    let mut replica = scenario.replica("replica", &[&donor], SERVE_EVERYTHING);
    bring_up(&replica);
    donor.kill().unwrap();
    replica.kill().unwrap();
    let replica = devcluster::Running::start(replica.dir().clone()).unwrap();
    let published = &status(&replica).datasets[0].published[0];
    assert_eq!((published.generation, published.bytes), (1, 100_000));
    let next = scenario.replica("next", &[&replica], "");
    bring_up(&next);
    assert_published(&next, 1, &content);
}
