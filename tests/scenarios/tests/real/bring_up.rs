//! The main job: an empty node gets all of a peer's content, and serves it from then on.

use crate::support::{Scenario, assert_published, bring_up, status};

const FILES: [(&str, usize); 7] = [
    ("CURRENT", 16),
    ("000001.sst", 9 * 1024 * 1024 + 17),
    ("000002.sst", 256 * 1024),
    ("000003.sst", 256 * 1024 + 1),
    ("empty", 0),
    ("sub/deeper/MANIFEST-000004", 4_099),
    ("sub/OPTIONS", 1),
];

/// F-01, MI-01: an empty node is brought up from a peer, file by file.
#[test]
fn an_empty_node_is_brought_up_from_a_peer() {
    let scenario = Scenario::new();
    let content = scenario.content("content", &FILES);
    let donor = scenario.donor("donor", &content, "");
    let replica = scenario.replica("replica", &[&donor], "");
    let plan = bring_up(&replica);
    assert_published(&replica, 1, &content);
    let total: usize = FILES.iter().map(|(_, len)| len).sum();
    assert_eq!((plan.bytes_done, plan.bytes_total), (total as u64, Some(total as u64)));
    assert_eq!(plan.shards[0].entries_done, FILES.len() as u64);
    assert_eq!(plan.shards[0].bytes_wasted, 0);
    let published = &status(&replica).datasets[0].published[0];
    assert_eq!((published.generation, published.bytes), (1, total as u64));
}

#[test]
fn a_node_serves_what_it_was_brought_up_with() {
    let scenario = Scenario::new();
    let content = scenario.content("content", &FILES);
    let donor = scenario.donor("donor", &content, "");
    let first = scenario.replica("first", &[&donor], devcluster::SERVE_EVERYTHING);
    bring_up(&first);
    drop(donor);
    let second = scenario.replica("second", &[&first], "");
    bring_up(&second);
    assert_published(&second, 1, &content);
}
