//! Whoever serves is killed ten times, at every tenth of one transfer, and restarted each time.

use devcluster::Running;

use crate::support::{
    MIB, SHARD, Scenario, assert_published, block_on, client, overhead, serve, start_files, status,
    until_done,
};

const FILES: [(&str, usize); 3] = [("a", 60 * MIB), ("b", 7 * MIB + 5), ("c", 33 * MIB)];
/// Small, so that a tenth is many windows, and a dead donor is soon noticed.
const LIMITS: &str = "[limits]\nwindow = \"2MiB\"\nfetch = \"512KiB\"\n\
                      [limits.quic]\nidle_timeout = \"1500ms\"\nkeep_alive = \"300ms\"\n";
const WINDOW: u64 = 2 * MIB as u64;
const KILLS: u64 = 10;

/// Kills a node and starts it again where its peers know it to be.
fn restart(donor: &mut Running, body: &str) {
    let addr = donor.addr();
    donor.kill().unwrap();
    donor.dir().configure(addr, body).unwrap();
    *donor = Running::start(donor.dir().clone()).unwrap();
    assert_eq!(donor.addr(), addr);
}

#[test]
fn donors_killed_at_every_tenth_cost_no_more_than_what_was_under_way() {
    let scenario = Scenario::new();
    let content = scenario.content("content", &FILES);
    let total: u64 = FILES.iter().map(|(_, len)| *len as u64).sum();
    let body = format!("{}{}{LIMITS}", serve(&content), devcluster::SERVE_EVERYTHING);
    let mut donors = ["donor-1", "donor-2"].map(|name| scenario.cluster.start(name, &body).unwrap());
    let replica = scenario.replica("replica", &[&donors[0], &donors[1]], LIMITS);
    let ended = block_on(async {
        let client = client(&replica);
        let plan = start_files(&client).await;
        for tenth in 0..KILLS {
            let seen = until_done(&client, &plan, (tenth * total / KILLS).max(1)).await;
            assert!(!seen.is_ended(), "it was over before kill {tenth}: {seen:?}");
            let serving = seen.shards[0].peer.as_deref();
            let serving = donors.iter_mut().find(|donor| Some(donor.dir().name.as_str()) == serving);
            restart(serving.expect("one of the two serves"), &body);
        }
        until_done(&client, &plan, u64::MAX).await
    });
    assert!(ended.is_completed(), "{ended:?}\n{}", replica.log().tail());
    assert_eq!(ended.shards[0].shard, SHARD);
    assert_published(&replica, 1, &content);
    assert!(ended.shards[0].bytes_wasted <= WINDOW, "{} bytes thrown away", ended.shards[0].bytes_wasted);
    // What was asked of a dead one and did not come is asked again: maybe there, before its death is
    // noticed, and then of the other. Nothing else is.
    let asked = status(&replica).traffic["bootstrap"].received;
    assert!(asked <= overhead(total + KILLS * 2 * WINDOW), "{asked} bytes asked for, {total} were needed");
}
