//! Ctrl-C leaves a command, not its plan; `abort` calls the plan off.

use std::process::Stdio;

use devcluster::Log;
use peerstream_node::admin::model::ResultView;

use crate::support::{LIMIT, RECEIVE, Scenario, block_on, client, say, status};

/// A peer that never answers: nothing listens on the discard port of this machine.
const SILENT_PEER: &str = "[[peer]]\nnode = \"silent\"\naddr = \"127.0.0.1:9\"\n";

#[test]
fn ctrl_c_detaches_and_abort_ends_the_plan() {
    let scenario = Scenario::new();
    let node = scenario.cluster.start("node", &format!("{RECEIVE}{SILENT_PEER}")).unwrap();
    let mut command = node.command("bootstrap");
    let mut child = command.arg("files").stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let said = Log::follow(child.stderr.take().unwrap(), &scenario.path("said")).unwrap();
    said.wait_for("files@1/0 ", LIMIT).unwrap();
    devcluster::interrupt(&child).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    said.wait_for("goes on", LIMIT).unwrap();

    let running = status(&node).plans.remove(0);
    assert_eq!(running.result, None, "the plan goes on");
    let aborted = say(node.command("abort").arg(&running.plan));
    assert_eq!(aborted.code, Some(0), "{aborted:?}");
    let ended = block_on(async {
        let mut watch = client(&node).watch(&running.plan).await.unwrap();
        let mut last = None;
        while let Some(plan) = watch.next().await.unwrap() {
            last = Some(plan);
        }
        last.unwrap()
    });
    assert_eq!(ended.result, Some(ResultView::Aborted));
    let again = say(node.command("abort").arg(&running.plan));
    assert_eq!(again.code, Some(1));
    assert!(again.err.contains("has ended already"), "{}", again.err);
}
