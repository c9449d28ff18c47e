//! Scenarios as data: the shipped ones hold, failures are narrowed down, slips are refused.
#![expect(clippy::unwrap_used, reason = "all of this file is test code")]

use std::collections::BTreeSet;

use peerstream_sim::Network;
use peerstream_sim::report::Report;
use peerstream_sim::scenario::{SHIPPED, Scenario, ScenarioError, shipped};

/// Every shipped scenario, on both networks, for some seeds.
#[test]
fn shipped_scenarios_hold() {
    for (name, _) in SHIPPED {
        let scenario = shipped(name).unwrap();
        let few = if *name == "fleet" { 1 } else { 4 };
        for (seed, network) in (0..few).flat_map(|seed| Network::ALL.map(|network| (seed, network))) {
            let mut options = scenario.options(seed);
            options.network = network;
            options.replicas = options.replicas.min(20);
            let done = scenario.run(&options);
            let done = done.unwrap_or_else(|failure| panic!("{name}, {seed}, {network}: {failure}"));
            assert!(done.summary.published >= u64::from(options.replicas), "{name}: {}", done.summary);
        }
    }
}

#[test]
fn equal_runs_have_equal_traces() {
    for network in Network::ALL {
        let scenario = shipped("fault-mix-disk").unwrap();
        let mut options = scenario.options(5);
        options.network = network;
        let run = || scenario.run(&options).unwrap();
        let (one, two) = (run(), run());
        assert_eq!(one.trace, two.trace, "{network}");
        assert_eq!(one.summary, two.summary, "{network}");
    }
}

/// A scenario that cannot hold: a replica is cut off from the only donor at the end of all faults.
fn doomed() -> Scenario {
    "
        [fleet]
        donors = 1
        replicas = 2
        [expect]
        percent_of_bound = 1
        [[fault]]
        at_ms = 1
        slow-cpu = { node = 'replica-2', job_ms = 1 }
        [[fault]]
        at_ms = 2
        cut = { a = 'donor-1', b = 'replica-1' }
        [[fault]]
        at_ms = 3
        rotate-certificate = 'donor-1'
        [[fault]]
        at_ms = 900
        heal = { a = 'donor-1', b = 'replica-1' }
    "
    .replace("donors = 1", "donors = 1\nup_kib = 1048576")
    .parse()
    .unwrap()
}

#[test]
fn a_failure_is_narrowed_to_the_faults_that_it_needs() {
    let mut scenario = doomed();
    // Without the cut it takes some milliseconds.
    scenario.expect.percent_of_bound = Some(5_000);
    let options = scenario.options(3);
    let failure = scenario.run(&options).unwrap_err();
    assert!(failure.to_string().contains("it took"), "{failure}");
    let lines = failure.trace.lines().count();
    assert_eq!(format!("{failure:?}"), format!("{:?}, with a trace of {lines} lines", failure.what));
    assert!(lines > 10, "{}", failure.trace);
    let narrowed = scenario.narrow(&options, failure);
    assert!(narrowed.runs > 0);
    assert!(narrowed.options.without.is_superset(&BTreeSet::from([0, 2])), "{:?}", narrowed.options);
    assert!(!narrowed.options.without.contains(&1), "the cut is what it takes");
    assert!(scenario.run(&narrowed.options).is_err(), "what is left still fails");
}

#[test]
fn slips_are_refused_by_name() {
    let refused = |text: &str| text.parse::<Scenario>().unwrap_err();
    let unknown = refused("[[fault]]\nat_ms = 1\nkill = 'donor-9'");
    assert!(matches!(unknown, ScenarioError::NoSuchNode { place: 0, .. }), "{unknown}");
    assert!(unknown.to_string().contains("donor-1 to donor-3"), "{unknown}");
    assert!(matches!(refused("[fleet]\nreplicas = 0"), ScenarioError::Fleet));
    assert!(refused("[flet]\ndonors = 2").to_string().contains("flet"));
    assert!(refused("[[fault]]\nat_ms = 1\nkil = 'donor-1'").to_string().contains("Fault"));
}

#[test]
fn a_report_shows_who_fed_whom() {
    let scenario = shipped("donor-dies").unwrap();
    let options = scenario.options(1);
    let (done, faults) = (scenario.run(&options).unwrap(), scenario.faults(&options));
    let about = scenario.about.as_str();
    let page =
        Report { name: "donor-dies", about, options: &options, faults: &faults, done: &done, bound: None };
    let html = page.html();
    for part in ["donor-1", "donor-2", "replica-1", "<svg", "kill", "shards published"] {
        assert!(html.contains(part), "{part} is missing in {html}");
    }
    assert!(!html.contains("http"), "nothing is fetched from elsewhere");
}
