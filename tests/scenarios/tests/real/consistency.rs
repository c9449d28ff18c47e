//! Levels are set on a running node, say whom that concerns, and stay set when it is restarted.

use std::net::SocketAddr;
use std::process::Command;

use devcluster::{Running, SERVE_EVERYTHING};
use peerstream_node::admin::consistency::{ConsistencyChange, ConsistencyView};

use crate::support::{RECEIVE, Said, Scenario, block_on, client, say, start_files};

/// Levels are for what can be compared.
const IDENTICAL: &str = "kind = \"identical\"\n";

fn consistency(node: &Running, args: &[&str]) -> Said {
    let mut command = Command::new(&node.dir().binary);
    say(command.arg("consistency").args(args).arg("--socket").arg(node.dir().socket()))
}

fn get(node: &Running, args: &[&str]) -> ConsistencyView {
    let said = consistency(node, &[&["get", "--output", "json"], args].concat());
    assert_eq!(said.code, Some(0), "{said:?}");
    serde_json::from_str(&said.out).unwrap()
}

/// G-26, F-20: set, seen, kept across a restart, taken back.
#[test]
fn a_level_stays_set_when_the_node_is_restarted() {
    let scenario = Scenario::new();
    let body = format!("{RECEIVE}{IDENTICAL}[consistency]\nlevel = \"all\"\n");
    let mut node = scenario.cluster.start("node", &body).unwrap();
    assert_eq!(get(&node, &[]).in_force.level, "all");

    let said = consistency(&node, &["set", "one", "--dataset", "files"]);
    let expected = "dataset files: was all (configured for the node)\n\
                    dataset files: is one (set for dataset files)\n\
                    no running recovery is concerned\n";
    assert_eq!((said.code, said.out.as_str()), (Some(0), expected), "{said:?}");
    let said = consistency(&node, &["set", "none", "--dataset", "files", "--shard", "0", "--output", "json"]);
    let change: ConsistencyChange = serde_json::from_str(&said.out).unwrap();
    assert_eq!((change.before.level.as_str(), change.now.level.as_str()), ("one", "none"));

    node.terminate().unwrap();
    let node = Running::start(node.dir().clone()).unwrap();
    let view = get(&node, &["--dataset", "files", "--shard", "0"]);
    assert_eq!((view.of.as_str(), view.in_force.level.as_str()), ("shard files@1/0", "none"));
    let set: Vec<String> =
        view.settings.iter().map(|one| format!("{} {} {}", one.set_for, one.level, one.source)).collect();
    assert_eq!(set, ["the node all configured", "dataset files one set", "shard files@1/0 none set"]);

    assert_eq!(consistency(&node, &["set", "--unset", "--dataset", "files", "--shard", "0"]).code, Some(0));
    assert_eq!(get(&node, &["--dataset", "files", "--shard", "0"]).in_force.level, "one");

    for (args, hint) in [
        (&["set", "one", "--dataset", "other"][..], "other is not configured"),
        (&["get", "--dataset", "files", "--shard", "7"], "shard 7 of files is not configured"),
    ] {
        let said = consistency(&node, args);
        assert!(said.code == Some(1) && said.err.contains(hint), "{said:?}");
    }
    let said = consistency(&node, &["set", "quorum"]);
    assert!(said.code == Some(2) && said.err.contains("unstrict_majority"), "{said:?}");
}

/// F-20: a change says which recoveries that run it concerns.
#[test]
fn a_change_names_the_recoveries_that_it_concerns() {
    let scenario = Scenario::new();
    // Nobody answers there, so the recovery waits for a majority of three.
    let nobody = "[[peer]]\nnode = \"nobody\"\naddr = \"127.0.0.1:9\"\n\
                  [[peer]]\nnode = \"no-one\"\naddr = \"127.0.0.1:10\"\n";
    let others = format!("[[dataset]]\nname = \"others\"\n{IDENTICAL}");
    let node = scenario.cluster.start("node", &format!("{RECEIVE}{IDENTICAL}{others}{nobody}")).unwrap();
    let plan = block_on(async { start_files(&client(&node)).await });
    let said = consistency(&node, &["set", "one", "--output", "json"]);
    let change: ConsistencyChange = serde_json::from_str(&said.out).unwrap();
    let concerned = &change.recoveries[..];
    let [one] = concerned else { panic!("not one: {change:?}") };
    assert_eq!((&one.plan, one.shard.as_str()), (&plan.plan, "files@1/0"));
    assert_eq!((one.before.as_str(), one.now.as_str()), ("majority", "one"));
    let of_plan = ["--dataset", "files", "--shard", "0", "--plan", &plan.plan, "--output", "json"];
    let said = consistency(&node, &[&["set", "none"], &of_plan[..]].concat());
    let change: ConsistencyChange = serde_json::from_str(&said.out).unwrap();
    assert_eq!((change.recoveries[0].before.as_str(), change.recoveries[0].now.as_str()), ("one", "none"));
    assert_eq!(get(&node, &of_plan[..6]).in_force.set_for, format!("shard files@1/0 of plan {}", plan.plan));
    assert_eq!(get(&node, &of_plan[..4]).in_force.level, "one", "it is set for the one recovery only");
    let of_another = ["set", "none", "--dataset", "others", "--shard", "0", "--plan", &plan.plan];
    let said = consistency(&node, &of_another);
    assert!(said.code == Some(1) && said.err.contains("running that brings others@1/0 up"), "{said:?}");
    let said = consistency(&node, &["set", "one"]);
    assert!(said.out.ends_with("no running recovery is concerned\n"), "it is the same level: {said:?}");
}

/// F-75: a placement file is taken when it changes, and at a reload; a bad one changes nothing.
#[test]
fn a_placement_file_is_read_again() {
    let scenario = Scenario::new();
    let content = scenario.content("content", &[("a", 1_000)]);
    let donor = scenario.donor("donor", &content, "");
    let placement = "[placement]\nfile = \"placement.toml\"\npoll = \"100ms\"\n";
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let body = format!("{RECEIVE}{placement}{SERVE_EVERYTHING}");
    let dir = scenario.cluster.prepare("node", listen, &body).unwrap();
    let file = dir.path.join("placement.toml");
    let replace = |text: &str| {
        std::fs::write(dir.path.join("new"), text).unwrap();
        std::fs::rename(dir.path.join("new"), &file).unwrap();
    };
    let listed = |addr: SocketAddr, state: &str| {
        format!("[[node]]\nnode = \"donor\"\naddr = \"{addr}\"\nstate = \"{state}\"\n")
    };
    let said = say(&mut dir.command("check-config"));
    assert!(said.code == Some(1) && said.err.contains("placement.toml: "), "it is missing: {said:?}");
    replace(&listed(donor.addr(), "initializing"));
    assert_eq!(say(&mut dir.command("check-config")).code, Some(0));

    let node = Running::start(dir.clone()).unwrap();
    let (said, _) = crate::support::bootstrap(&node);
    assert!(said.err.contains("all its replicas are initializing"), "{said:?}");
    replace("[[node]]\naddr = 7\n");
    let refused = node.log().wait_for("a placement was refused", crate::support::LIMIT).unwrap();
    assert!(refused.contains("placement.toml: line 2: "), "{refused}");
    let said = say(&mut node.command("reload"));
    assert!(said.code == Some(1) && said.err.contains("placement.toml: line 2: "), "{said:?}");
    replace(&listed(donor.addr(), "available"));
    node.log().wait_for("the placement was read", crate::support::LIMIT).unwrap();
    crate::support::bring_up(&node);
}
