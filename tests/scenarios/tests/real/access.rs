//! Who is not allowed is told so, and so is the operator of the node that refused.

use devcluster::Cluster;

use crate::support::{RECEIVE, Scenario, bootstrap, serve};

const FILES: [(&str, usize); 1] = [("a", 1_000)];

#[test]
fn a_node_with_another_ca_is_turned_away() {
    let scenario = Scenario::new();
    let content = scenario.content("content", &FILES);
    let donor = scenario.donor("donor", &content, "");
    let binary = env!("CARGO_BIN_EXE_peerstream-under-test");
    let strangers = Cluster::init(binary, scenario.path("s")).unwrap();
    let stranger = strangers.start("stranger", &format!("{RECEIVE}{}", donor.as_peer())).unwrap();
    let (said, _) = bootstrap(&stranger);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("its certificate is not trusted"), "{}", said.err);
    assert!(said.err.contains("donor"), "the peer is named: {}", said.err);
    let log = donor.log().wait_for("peer turned away", crate::support::LIMIT).unwrap();
    assert!(log.contains("WARN"), "{log}");
}

#[test]
fn a_request_that_no_rule_allows_is_refused_on_both_sides() {
    let scenario = Scenario::new();
    let content = scenario.content("content", &FILES);
    let rule = "[[access]]\nwho = \"other\"\ndatasets = \"*\"\nverbs = [\"list\", \"fetch\"]\n";
    let donor = scenario.cluster.start("donor", &format!("{}{rule}", serve(&content))).unwrap();
    let replica = scenario.replica("replica", &[&donor], "");
    let (said, _) = bootstrap(&replica);
    assert_eq!(said.code, Some(1), "{said:?}");
    let denied = "no rule allows replica.demo.internal to fetch dataset files";
    assert!(said.err.contains(denied), "{}", said.err);
    assert!(!donor.log().lines_with(denied).is_empty(), "{}", donor.log().tail());
}
