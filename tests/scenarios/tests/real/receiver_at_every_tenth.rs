//! The receiver is killed ten times, at every tenth of one transfer, and restarted each time.

use devcluster::Running;
use peerstream_node::admin::model::PlanView;

use crate::support::{
    MIB, Scenario, assert_published, block_on, bring_up, client, overhead, start_files, status, until_done,
};

const FILES: [(&str, usize); 3] = [("a", 60 * MIB), ("b", 7 * MIB + 5), ("c", 33 * MIB)];
/// Small, so that a tenth is many windows.
const LIMITS: &str = "[limits]\nwindow = \"2MiB\"\nfetch = \"512KiB\"\n";
/// What a kill may cost: the window, and what is stored and not yet written down (`StoreOptions::lag`).
const AT_RISK: u64 = (2 + 4) * MIB as u64;
const KILLS: u64 = 10;

/// Starts the transfer (again) and kills the node once this much is verified.
fn kill_at(replica: &mut Running, done: u64) -> PlanView {
    let plan = block_on(async {
        let client = client(replica);
        let plan = start_files(&client).await;
        until_done(&client, &plan, done).await
    });
    assert!(!plan.is_ended(), "it was over before it could be killed: {plan:?}");
    replica.kill().unwrap();
    plan
}

#[test]
fn a_receiver_killed_at_every_tenth_fetches_little_again() {
    let scenario = Scenario::new();
    let content = scenario.content("content", &FILES);
    let total: u64 = FILES.iter().map(|(_, len)| *len as u64).sum();
    let donor = scenario.donor("donor", &content, "");
    let mut replica = scenario.replica("replica", &[&donor], LIMITS);
    let mut verified = 0;
    for tenth in 0..KILLS {
        let plan = kill_at(&mut replica, (tenth * total / KILLS).max(1));
        let held = plan.shards[0].bytes_held;
        assert!(held + AT_RISK >= verified, "kill {tenth}: {verified} were verified, {held} are held");
        verified = plan.bytes_done;
        replica = Running::start(replica.dir().clone()).unwrap();
    }
    let plan = bring_up(&replica);
    assert_published(&replica, 1, &content);
    let held = plan.shards[0].bytes_held;
    assert!(held + AT_RISK >= verified, "{verified} were verified before the last kill, {held} are held");
    assert_eq!(plan.shards[0].bytes_wasted, 0);
    // What the donor sent is all that ever moved: the content, and per kill what was at risk.
    let sent = status(&donor).traffic["bootstrap"].sent;
    assert!(sent <= overhead(total + KILLS * AT_RISK), "{sent} bytes were sent, {total} were needed");
}
