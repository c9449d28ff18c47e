//! Promise 11 across processes: another address space and other seeds of hash maps change nothing.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use peerstream_sim::Network;
use peerstream_sim::scenario::{SHIPPED, shipped};

/// Where a process that is asked for traces writes them.
const TRACES: &str = "PEERSTREAM_SIM_TRACES";
/// Replicas of a scenario at most, so that a fleet does not take long.
const REPLICAS_MAX: u32 = 6;
/// The seed of all runs, one that stalls what several wait for; the long checks take more of them, in the
/// release build too.
const SEED: u64 = 107;

/// The traces of all shipped scenarios on both networks, but of those that are held against the bound: they
/// move many bytes, and say little else.
fn traces() -> Vec<(String, String)> {
    let all = SHIPPED.iter().map(|(name, _)| (*name, shipped(name).expect("it is shipped")));
    let runs = all.filter(|(_, scenario)| scenario.expect.percent_of_bound.is_none());
    let runs = runs.flat_map(|run| Network::ALL.map(|network| (run.clone(), network)));
    runs.map(|((name, scenario), network)| {
        let mut options = scenario.options(SEED);
        options.network = network;
        options.replicas = options.replicas.min(REPLICAS_MAX);
        let done = scenario.run(&options).unwrap_or_else(|failure| panic!("{name}, {network}: {failure}"));
        (format!("{name}-{network}"), done.trace)
    })
    .collect()
}

/// Begins this very test in a process of its own, which writes its traces to a directory.
fn elsewhere(dir: &Path) -> Child {
    // Nothing of an earlier run may be taken for its answer.
    let _ = std::fs::remove_dir_all(dir);
    std::fs::create_dir_all(dir).expect("the directory is ours");
    let mut command = Command::new(std::env::current_exe().expect("this program is known"));
    command.args(["--exact", "another_process_gives_the_same_traces"]).env(TRACES, dir);
    command.stdout(Stdio::null()).spawn().expect("this program starts")
}

#[test]
fn another_process_gives_the_same_traces() {
    if let Some(dir) = std::env::var_os(TRACES) {
        for (name, trace) in traces() {
            std::fs::write(Path::new(&dir).join(name), trace).expect("the directory is there");
        }
        return;
    }
    let dirs = ["one", "two"].map(|name| Path::new(env!("CARGO_TARGET_TMPDIR")).join("traces").join(name));
    let others = dirs.each_ref().map(|dir| elsewhere(dir));
    let here = traces();
    for (mut other, dir) in others.into_iter().zip(&dirs) {
        assert!(other.wait().expect("it is ours").success());
        for (name, trace) in &here {
            let theirs = std::fs::read_to_string(dir.join(name)).expect("it was written");
            let differs = trace.lines().zip(theirs.lines()).find(|(ours, theirs)| ours != theirs);
            assert_eq!(differs, None, "{name}");
            assert_eq!(*trace, theirs, "{name}");
        }
    }
}
