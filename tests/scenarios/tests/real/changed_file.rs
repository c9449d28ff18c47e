//! A file that changed under its manifest: refused and named, everything else is kept.

use devcluster::tree;

use crate::support::{SHARD, Scenario, assert_published, bootstrap, bring_up, rot, status, write_to};

const FILES: [(&str, usize); 3] = [("first", 300_000), ("second", 3_000_000), ("third", 700_000)];
/// In the third chunk of the second file.
const CHANGED_AT: u64 = 2 * 256 * 1024 + 99;

#[test]
fn a_file_that_was_written_to_is_refused_and_hashed_again() {
    let scenario = Scenario::new();
    let content = scenario.content("content", &FILES);
    let donor = scenario.donor("donor", &content, "");
    bring_up(&scenario.replica("earlier", &[&donor], ""));
    write_to(&content.join("second"), [CHANGED_AT]);

    let replica = scenario.replica("replica", &[&donor], "");
    let (said, plan) = bootstrap(&replica);
    assert_eq!(said.code, Some(1), "{said:?}");
    let bad = plan.unwrap().shards.remove(0).outcome.unwrap().bad.remove(0);
    assert_eq!((bad.key.as_str(), bad.peer.as_str()), ("second", "donor"));
    assert!(bad.why.contains("changed under its manifest"), "{bad:?}");
    bring_up(&replica);
    assert_published(&replica, 1, &content);
}

#[test]
fn a_file_changed_under_its_manifest_is_refused_and_named() {
    let scenario = Scenario::new();
    let content = scenario.content("content", &FILES);
    let donor = scenario.donor("donor", &content, "");
    // The donor keeps the manifest that it makes for the first receiver.
    bring_up(&scenario.replica("earlier", &[&donor], ""));
    rot(&content.join("second"), [CHANGED_AT]);

    let replica = scenario.replica("replica", &[&donor], "");
    let (said, plan) = bootstrap(&replica);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("error: files@1/0 was not published: "), "{}", said.err);
    assert!(said.err.contains("second") && said.err.contains("from donor"), "{}", said.err);
    let outcome = plan.unwrap().shards.remove(0).outcome.unwrap();
    let bad = &outcome.bad[0];
    assert_eq!((outcome.kind.as_str(), outcome.bad.len()), ("incomplete", 1), "{outcome:?}");
    assert_eq!((bad.key.as_str(), bad.chunk, bad.peer.as_str()), ("second", Some(2), "donor"));
    assert!(status(&replica).datasets[0].published.is_empty());
    let staged = tree::files(&replica.dir().data().join("store").join(SHARD).join("staging")).unwrap();
    let staged: u64 = staged.values().sum();
    assert!(staged >= 3_700_000, "the rest is staged: {staged} bytes");

    rot(&content.join("second"), [CHANGED_AT]);
    let healed = bring_up(&replica);
    assert_published(&replica, 1, &content);
    assert_eq!(healed.shards[0].bytes_held, 4_000_000 - 256 * 1024, "only the bad chunk came again");
}
