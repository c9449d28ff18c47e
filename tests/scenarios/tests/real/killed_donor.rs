//! The donor is killed half way: the other one takes over, and what was verified is kept.

use crate::support::{Scenario, assert_published, block_on, client, status};
use peerstream_node::admin::model::PlanRequest;

const MIB: usize = 1024 * 1024;
const FILES: [(&str, usize); 3] = [("a", 120 * MIB), ("b", 7 * MIB + 5), ("c", 60 * MIB)];
/// Small, so that the donor is still busy when it is killed, and a dead one is soon noticed.
const LIMITS: &str = "[limits]\nwindow = \"4MiB\"\nfetch = \"1MiB\"\n\
                      [limits.quic]\nidle_timeout = \"3s\"\nkeep_alive = \"500ms\"\n";
const WINDOW: u64 = 4 * MIB as u64;

#[test]
fn a_killed_donor_is_replaced_and_nothing_verified_is_fetched_again() {
    let scenario = Scenario::new();
    let content = scenario.content("content", &FILES);
    let total: u64 = FILES.iter().map(|(_, len)| *len as u64).sum();
    let mut first = scenario.donor("donor-1", &content, LIMITS);
    let second = scenario.donor("donor-2", &content, LIMITS);
    let replica = scenario.replica("replica", &[&first, &second], LIMITS);
    let (at_the_kill, ended) = block_on(async {
        let client = client(&replica);
        let plan =
            client.start(&PlanRequest::Bootstrap { what: "files".into(), from: vec![] }).await.unwrap();
        let mut watch = client.watch(&plan.plan).await.unwrap();
        let (mut at_the_kill, mut last) = (None, plan);
        while let Some(plan) = watch.next().await.unwrap() {
            if at_the_kill.is_none() && plan.bytes_done > total / 8 {
                first.kill().unwrap();
                at_the_kill = Some(plan.clone());
            }
            last = plan;
        }
        (at_the_kill.expect("it was over before the donor could be killed"), last)
    });
    assert_eq!(at_the_kill.shards[0].peer.as_deref(), Some("donor-1"));
    assert!(at_the_kill.result.is_none(), "killed too late: {at_the_kill:?}");
    assert!(ended.is_completed(), "{ended:?}\n{}", replica.log().tail());
    assert_published(&replica, 1, &content);
    let served =
        |name: &str| replica.log().lines_with("opening a source").iter().any(|line| line.contains(name));
    assert!(served("donor-1") && served("donor-2"), "{}", replica.log().tail());
    let sent = status(&second).traffic["bootstrap"].sent;
    let missing = total - at_the_kill.bytes_done;
    assert!(sent <= missing + missing / 1000, "{sent} bytes came again or anew, {missing} were missing");
    // What was asked of the first one and did not come is asked again: there, and then of the second.
    let asked = status(&replica).traffic["bootstrap"].received;
    assert!(asked <= total + 2 * WINDOW, "{asked} bytes asked for, {total} were needed");
    assert_eq!(ended.shards[0].bytes_wasted, 0);
}
