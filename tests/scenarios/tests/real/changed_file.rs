//! A file that changed under its manifest: refused and named, everything else is kept.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;

use devcluster::tree;

use crate::support::{SHARD, Scenario, assert_published, bootstrap, bring_up, status};

const FILES: [(&str, usize); 3] = [("first", 300_000), ("second", 3_000_000), ("third", 700_000)];
/// In the third chunk of the second file.
const CHANGED_AT: u64 = 2 * 256 * 1024 + 99;

/// Changes a byte as somebody does who writes to the file.
fn write_to(path: &Path) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, CHANGED_AT).unwrap();
    file.write_all_at(&[!byte[0]], CHANGED_AT).unwrap();
}

/// Changes a byte as a bad disk does: nothing but the content tells.
fn flip(path: &Path) {
    let before = path.metadata().unwrap().modified().unwrap();
    write_to(path);
    OpenOptions::new().write(true).open(path).unwrap().set_modified(before).unwrap();
}

#[test]
fn a_file_that_was_written_to_is_refused_and_hashed_again() {
    let scenario = Scenario::new();
    let content = scenario.content("content", &FILES);
    let donor = scenario.donor("donor", &content, "");
    bring_up(&scenario.replica("earlier", &[&donor], ""));
    write_to(&content.join("second"));

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
    flip(&content.join("second"));

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

    flip(&content.join("second"));
    let healed = bring_up(&replica);
    assert_published(&replica, 1, &content);
    assert_eq!(healed.shards[0].bytes_held, 4_000_000 - 256 * 1024, "only the bad chunk came again");
}
