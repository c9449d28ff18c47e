//! Scenarios as data: the shipped ones hold, failures are narrowed down, slips are refused.
#![expect(clippy::unwrap_used, reason = "all of this file is test code")]

use std::collections::BTreeSet;
use std::time::Duration;

use peerstream_sim::Network;
use peerstream_sim::report::Report;
use peerstream_sim::scenario::{RunOptions, SHIPPED, Scenario, ScenarioError, shipped};

/// Those of many bytes take minutes without optimisation, and each of them is about numbers.
const BIG: [&str; 4] =
    ["three-sources-large", "three-sources-small", "slowed-source-large", "slowed-source-small"];

/// Every shipped scenario, on both networks, for some seeds.
#[test]
fn shipped_scenarios_hold() {
    for (name, _) in SHIPPED.iter().filter(|(name, _)| !BIG.contains(name)) {
        let scenario = shipped(name).unwrap();
        let few = if ["fleet", "capped"].contains(name) { 1 } else { 4 };
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

/// Three sources together are as fast as they can be, and one that slows down holds nobody back: the
/// shipped scenarios say how fast, and how much may come for nothing.
#[cfg(not(debug_assertions))]
#[test]
fn three_sources_are_used_to_the_full() {
    for name in BIG {
        let scenario = shipped(name).unwrap();
        let options = scenario.options(1);
        let done = scenario.run(&options).unwrap_or_else(|failure| panic!("{name}: {failure}"));
        let bound = scenario.bound(&options).unwrap();
        let over = done.summary.took.as_secs_f64() / bound.as_secs_f64();
        println!("{name}: {over:.4} of {bound:?}; {}", done.summary);
    }
}

/// The same with less, in every build.
#[test]
fn three_sources_are_faster_than_one() {
    for (name, entries, kib) in [("large", 1, 49_152), ("small", 6_000, 4)] {
        let scenario = |kind: &str| {
            let mut scenario = shipped(&format!("{kind}-{name}")).unwrap();
            (scenario.content.large, scenario.content.large_kib) = (entries, kib);
            scenario.fleet.join_from_kib = 1;
            for timed in &mut scenario.fault {
                timed.at_ms /= 10;
            }
            scenario.expect.percent_of_bound = Some(135);
            scenario
        };
        for kind in ["three-sources", "slowed-source"] {
            let scenario = scenario(kind);
            let done = scenario
                .run(&scenario.options(1))
                .unwrap_or_else(|failure| panic!("{kind}-{name}: {failure}"));
            let given: Vec<u64> = done.flows.totals().into_values().collect();
            assert_eq!(given.len(), 3, "{kind}-{name}: {given:?}");
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

/// A scenario that cannot hold: a replica is cut off from the only donor for most of the time that the
/// run may take.
fn doomed() -> Scenario {
    "
        [fleet]
        donors = 1
        replicas = 2
        up_kib = 16384
        [expect]
        percent_of_bound = 200
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
        at_ms = 1200
        heal = { a = 'donor-1', b = 'replica-1' }
    "
    .parse()
    .unwrap()
}

#[test]
fn a_failure_is_narrowed_to_the_faults_that_it_needs() {
    let scenario = doomed();
    let options = scenario.options(3);
    let without_the_cut = RunOptions { without: BTreeSet::from([1]), ..scenario.options(3) };
    let least = scenario.bound(&options).unwrap();
    let took = scenario.run(&without_the_cut).unwrap().summary.took;
    assert!(took > least * 8 / 10 && took < least * 2, "{took:?}, and {least:?} at the least");
    let failure = scenario.run(&options).unwrap_err();
    assert!(failure.to_string().starts_with("it took"), "{failure}");
    let lines = failure.trace.lines().count();
    assert_eq!(format!("{failure:?}"), format!("{:?}, with a trace of {lines} lines", failure.what));
    assert!(lines > 10, "{}", failure.trace);
    let narrowed = scenario.narrow(&options, failure);
    assert!(narrowed.runs > 0);
    assert!(narrowed.options.without.is_superset(&BTreeSet::from([0, 2])), "{:?}", narrowed.options);
    assert!(!narrowed.options.without.contains(&1), "the cut is what it takes");
    assert!(scenario.run(&narrowed.options).is_err(), "what is left still fails");
}

/// The bound is that of the content over what caps and links leave for it.
#[test]
fn the_bound_of_a_scenario_is_a_number() {
    let bound = |text: &str| {
        let scenario: Scenario =
            format!("{text}\n[content]\nshards = 2\nsmall = 0\nlarge = 4\nlarge_kib = 1024\nempty = 0")
                .parse()
                .unwrap();
        scenario.bound(&scenario.options(1))
    };
    let secs = |secs: f64| Some(Duration::from_secs_f64(secs));
    assert_eq!(bound("[fleet]"), None);
    // Two donors send 8 MiB to each of three replicas, which serve nobody while they receive.
    let fleet = "[fleet]\ndonors = 2\nreplicas = 3";
    assert_eq!(bound(&format!("{fleet}\nup_kib = 1024")), secs(12.0));
    assert_eq!(bound(&format!("{fleet}\ndown_kib = 512")), secs(16.0));
    assert_eq!(bound(&format!("{fleet}\nup_kib = 1024\ndown_kib = 512")), secs(16.0));
    // Each donor has a link to each replica.
    assert_eq!(bound(&format!("{fleet}\n[link]\nrate_kib = 1024")), secs(4.0));
    // Of three links one is slow from the second second until everything is mended.
    let slowed = "mend_after_ms = 1000\n[fleet]\ndonors = 3\n[link]\nrate_kib = 1024\n[[fault]]\nat_ms = 1000
        slow = { a = 'donor-2', b = 'replica-1', rate_kib = 512 }";
    let slowed = bound(slowed).unwrap().as_secs_f64();
    assert!((slowed - (2.0 + 2.5 / 3.0)).abs() < 1e-6, "{slowed}");
    // Over QUIC a datagram of 1,472 bytes has room for 1,443 of content.
    let quic = bound(&format!("network = 'quic'\n{fleet}\ndown_kib = 512")).unwrap();
    assert!((quic.as_secs_f64() - 16.0 * 1472.0 / 1443.0).abs() < 1e-3, "{quic:?}");
}

/// What a shipped scenario is about makes a difference.
#[test]
fn leaving_a_fault_out_changes_a_shipped_scenario() {
    for seed in 1..4 {
        let run = |name: &str, without: &[usize]| {
            let scenario = shipped(name).unwrap();
            let options = RunOptions { without: without.iter().copied().collect(), ..scenario.options(seed) };
            let done = scenario.run(&options).unwrap_or_else(|failure| panic!("{name}, {seed}: {failure}"));
            let by = |donor: &str| -> u64 {
                let from = |pair: &peerstream_sim::flows::Pair| pair.0.as_str() == donor;
                done.flows.totals().iter().filter(|(pair, _)| from(pair)).map(|(_, bytes)| bytes).sum()
            };
            (done.summary.took, by("donor-1"), by("donor-2"))
        };
        let ((_, dead, heir), (_, alive, _)) = (run("donor-dies", &[]), run("donor-dies", &[0]));
        assert!(0 < dead && dead < alive && heir > 0, "{seed}: {dead} of {alive}, then {heir}");
        let ((slow, ..), (fast, ..)) = (run("slow-source", &[]), run("slow-source", &[0]));
        assert!(slow > fast * 2, "{seed}: {slow:?}, and {fast:?} without");
    }
}

#[test]
fn slips_are_refused_by_name() {
    let refused = |text: &str| text.parse::<Scenario>().unwrap_err();
    assert!(matches!(refused("# nothing"), ScenarioError::Empty));
    let unknown = refused("[[fault]]\nat_ms = 1\nkill = 'donor-9'");
    assert!(matches!(unknown, ScenarioError::NoSuchNode { place: 0, .. }), "{unknown}");
    assert!(unknown.to_string().contains("donor-1 to donor-3"), "{unknown}");
    assert!(matches!(refused("[fleet]\nreplicas = 0"), ScenarioError::Fleet));
    let unbound = "[expect]\npercent_of_bound = 150";
    assert!(matches!(refused(unbound), ScenarioError::NothingBounds));
    assert!(format!("network = 'quic'\n{unbound}").parse::<Scenario>().is_ok(), "its links have a rate");
    assert!(refused("[flet]\ndonors = 2").to_string().contains("flet"));
    assert!(refused("[[fault]]\nat_ms = 1\nkil = 'donor-1'").to_string().contains("unknown variant"));
}

#[test]
fn a_report_shows_who_fed_whom() {
    let scenario = shipped("donor-dies").unwrap();
    let options = scenario.options(1);
    let (done, faults) = (scenario.run(&options).unwrap(), scenario.faults(&options));
    let about = scenario.about.as_str();
    let page = Report {
        name: "donor-dies",
        about,
        options: &options,
        faults: &faults,
        outcome: Ok(&done),
        narrowed: None,
        bound: None,
    };
    let html = page.html();
    for part in ["donor-1", "donor-2", "replica-1", "<svg", "kill", "shards published"] {
        assert!(html.contains(part), "{part} is missing in {html}");
    }
    assert!(!html.contains("http"), "nothing is fetched from elsewhere");
}
