//! Three donors of equal data at once, each across a link that carries no more than it should.

use std::path::Path;
use std::process::Command;

use devcluster::{CappedLink, Running, SERVE_EVERYTHING};

use crate::support::{
    MIB, RECEIVE, Scenario, assert_published, block_on, bring_up, client, rot, say, serve, start_files,
    until_done,
};

const FILES: [(&str, usize); 3] = [("a", 36 * MIB), ("b", 24 * MIB + 5), ("c", 36 * MIB)];
/// Slow enough that every link is busy from the start to the end.
const LINK: u64 = 12 * MIB as u64;
const CHUNK: usize = 256 * 1024;
/// How often one chunk is asked of one source.
const ATTEMPTS: u64 = 2;
/// Of files that are the same everywhere, so that all donors are compared before one is believed.
const IDENTICAL: &str = "kind = \"identical\"\n";
const ALL: &str = "[consistency]\nlevel = \"all\"\n";
/// A small window, so that little is under way at a dead one, which is soon noticed.
const LIMITS: &str = "[limits]\nwindow = \"2MiB\"\nfetch = \"512KiB\"\n\
                      [limits.quic]\nidle_timeout = \"1500ms\"\nkeep_alive = \"300ms\"\n";

fn total() -> u64 {
    FILES.iter().map(|(_, len)| *len as u64).sum()
}

fn donor(scenario: &Scenario, name: &str, content: &Path) -> Running {
    let body = format!("{}{IDENTICAL}{SERVE_EVERYTHING}{LIMITS}", serve(content));
    scenario.cluster.start(name, &body).unwrap()
}

/// A node without content that compares all the peers which its config names.
fn replica(scenario: &Scenario, name: &str, peers: impl Iterator<Item = String>) -> Running {
    let peers: String = peers.collect();
    scenario.cluster.start(name, &format!("{RECEIVE}{IDENTICAL}{peers}{ALL}{LIMITS}")).unwrap()
}

/// D14: a corrupt copy is named and left for another, without a loop; D6: so is a source that is dead.
#[test]
fn one_that_lies_and_one_that_is_killed_cost_nothing_but_their_part() {
    let scenario = Scenario::new();
    let names = ["honest", "killed", "liar"];
    let contents = names.map(|name| scenario.content(&format!("content-{name}"), &FILES));
    let [honest, mut killed, liar] = [0, 1, 2].map(|n| donor(&scenario, names[n], &contents[n]));
    let donors = [&honest, &killed, &liar];
    // All of them hash their files now, and believe in that later.
    bring_up(&replica(&scenario, "earlier", donors.iter().map(|donor| donor.as_peer())));
    let len = FILES[1].1 as u64;
    rot(&contents[2].join("b"), (0..len).step_by(CHUNK));

    let links = donors.map(|donor| CappedLink::to(donor, LINK).unwrap());
    let replica = replica(&scenario, "replica", links.iter().map(CappedLink::as_peer));
    let (at_the_kill, ended) = block_on(async {
        let client = client(&replica);
        let plan = start_files(&client).await;
        let seen = until_done(&client, &plan, total() / 2).await;
        killed.kill().unwrap();
        (seen, until_done(&client, &plan, u64::MAX).await)
    });
    assert!(!at_the_kill.is_ended(), "it was over before the kill: {at_the_kill:?}");
    let serving = at_the_kill.shards[0].sources.iter();
    let serving = serving.filter(|source| source.in_use && source.bytes > 0).map(|source| &source.peer);
    assert_eq!(serving.collect::<Vec<_>>(), names, "all of them are at work");

    assert!(ended.is_completed(), "{ended:?}\n{}", replica.log().tail());
    assert_published(&replica, 1, &contents[0]);
    let liars = ended.shards[0].sources.iter().filter(|source| source.bad_chunks > 0);
    assert_eq!(liars.map(|source| &source.peer).collect::<Vec<_>>(), ["liar"], "{ended:?}");
    let refused = replica.log().lines_with("content was refused");
    let is_liars = |line: &String| line.contains("entry b chunk ") && line.contains("from liar");
    assert_eq!(
        refused.iter().find(|line| !is_liars(line)),
        None,
        "nobody else is blamed, and for nothing else"
    );
    assert!(!refused.is_empty());
    let wasted = ended.shards[0].bytes_wasted;
    assert!(wasted > 0 && wasted <= ATTEMPTS * len, "{wasted} bytes thrown away, the bad file has {len}");
    let closed = replica.log().lines_with("a source was closed");
    assert!(closed.iter().any(|line| line.contains("killed")), "its death was noticed: {closed:?}");
    is_blamed_until_forgiven(&replica, "liar");
}

/// `peerstream status` shows what is held against it, and `peerstream forgive` is the end of that.
fn is_blamed_until_forgiven(replica: &Running, liar: &str) {
    let blamed = || {
        let view = block_on(async { client(replica).status().await.unwrap() });
        view.blamed.into_iter().find(|one| one.node == liar)
    };
    let held = blamed().expect("it is blamed");
    assert_eq!(held.reason, "lied");
    assert!(held.offences["lied"] > 0 && held.avoided_ms > Some(0), "{held:?}");
    let forgive = || {
        let mut command = Command::new(&replica.dir().binary);
        say(command.args(["forgive", liar, "--socket"]).arg(replica.dir().socket())).out
    };
    assert_eq!(forgive(), "nothing is held against liar any more\n");
    assert_eq!(blamed(), None);
    assert_eq!(forgive(), "nothing was held against liar\n");
}

/// D11: three slow links are used at once, and evenly.
#[test]
fn three_slow_donors_give_a_third_each() {
    let scenario = Scenario::new();
    let content = scenario.content("content", &FILES);
    let donors = ["one", "two", "three"].map(|name| donor(&scenario, name, &content));
    let links = donors.each_ref().map(|donor| CappedLink::to(donor, LINK).unwrap());
    let replica = replica(&scenario, "replica", links.iter().map(CappedLink::as_peer));
    let plan = bring_up(&replica);
    assert_published(&replica, 1, &content);
    let sources = &plan.shards[0].sources;
    let given: Vec<u64> = sources.iter().map(|source| source.bytes).collect();
    assert_eq!((given.len(), given.iter().sum::<u64>()), (3, total()), "{sources:?}");
    assert!(given.iter().all(|bytes| *bytes > total() / 4), "none gave much less than a third: {sources:?}");
}
