//! Nobody reads the log of a donor, which says a lot.

use std::process::Stdio;

use crate::support::{LIMIT, MIB, RECEIVE, Scenario, block_on, bring_up, serve};

/// A pipe takes 64 KiB; the packets of this transfer are worth megabytes of log.
#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    let scenario = Scenario::new();
    let content = scenario.content("content", &[("a", 16 * MIB)]);
    let body = format!("{}{}", serve(&content), devcluster::SERVE_EVERYTHING);
    let dir = scenario.cluster.prepare("donor", ([127, 0, 0, 1], 0).into(), &body).unwrap();
    let mut command = dir.command("node");
    command.args(["--log", "trace"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut donor = command.spawn().unwrap();
    let told = dir.data().join("listen");
    let told = async {
        loop {
            match std::fs::read_to_string(&told) {
                Ok(addr) if addr.ends_with('\n') => return addr,
                _ => tokio::task::yield_now().await,
            }
        }
    };
    let addr = block_on(async { tokio::time::timeout(LIMIT, told).await });
    let addr = addr.expect("the donor starts");
    let peer = format!("[[peer]]\nnode = \"donor\"\naddr = \"{}\"\n", addr.trim());
    let replica = scenario.cluster.start("replica", &format!("{RECEIVE}{peer}")).unwrap();
    bring_up(&replica);
    donor.kill().unwrap();
    donor.wait().unwrap();
}
