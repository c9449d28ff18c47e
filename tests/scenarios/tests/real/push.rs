//! A shard is brought to a peer that pulls what it was offered, if its rules allow.

use crate::support::{RECEIVE, SHARD, Scenario, assert_published, say, serve, status};

const FILES: [(&str, usize); 2] = [("a", 2_000_000), ("b/c", 77)];
const MAY_OFFER: &str = "[[access]]\nwho = \"loader\"\ndatasets = \"files\"\nverbs = [\"offer\"]\n";
/// The receiver pulls what it was offered, so the loader has to let it.
const MAY_PULL: &str = "[[access]]\nwho = \"target\"\ndatasets = \"files\"\nverbs = [\"list\", \"fetch\"]\n";

#[test]
fn a_pushed_shard_is_published_at_the_peer() {
    let scenario = Scenario::new();
    let content = scenario.content("content", &FILES);
    let target = scenario.cluster.start("target", &format!("{RECEIVE}{MAY_OFFER}")).unwrap();
    let loader = format!("{}{MAY_PULL}{}", serve(&content), target.as_peer());
    let loader = scenario.cluster.start("loader", &loader).unwrap();
    let said = say(loader.command("push").args([SHARD, "--to", "target"]));
    assert_eq!(said.code, Some(0), "{said:?}\n{}", target.log().tail());
    assert!(said.out.contains("files@1/0: published by the peer"), "{}", said.out);
    assert_published(&target, 1, &content);
    let seen = status(&target);
    assert_eq!(seen.plans[0].started_by.as_deref(), Some("loader"));
    assert_eq!(seen.plans[0].shards[0].direction, "receive");
}

#[test]
fn a_push_that_no_rule_allows_is_refused_on_both_sides() {
    let scenario = Scenario::new();
    let content = scenario.content("content", &FILES);
    let target =
        scenario.cluster.start("target", &format!("{RECEIVE}{}", devcluster::SERVE_EVERYTHING)).unwrap();
    let loader =
        scenario.cluster.start("loader", &format!("{}{}", serve(&content), target.as_peer())).unwrap();
    let said = say(loader.command("push").args([SHARD, "--to", "target"]));
    assert_eq!(said.code, Some(1), "{said:?}");
    let rule = "no rule allows loader.demo.internal to offer dataset files";
    assert!(said.err.contains(rule), "{}", said.err);
    assert!(!target.log().lines_with(rule).is_empty(), "{}", target.log().tail());
    assert!(status(&target).datasets[0].published.is_empty());
}
