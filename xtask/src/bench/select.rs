//! `cargo xtask bench select`: what it costs to compare the inventories of three peers, page by page.
//!
//! Every run is a process of its own, so that its peak of memory is that of one comparison; its
//! processor time is that of the thread that receives, not of the peers that make the pages.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};

use super::figures::Spread;
use super::machine::Machine;
use super::measured::Measured;
use crate::programs::Programs;

/// Keys that are compared unless told otherwise.
const DEFAULT_ENTRIES: [u64; 3] = [1_000_000, 10_000_000, 100_000_000];
/// Rounds that make a median worth stating.
const DEFAULT_ROUNDS: u32 = 3;
/// Distinct keys that one core is to get through in a second.
const GOAL_PER_S: f64 = 2e6;
/// Most memory of a run, the peers that make the pages included, whatever it compares.
const LIMIT_MIB: f64 = 64.0;
/// What a run may take that is not slow but hangs: some seconds to start, and so much for a million keys.
const LIMIT: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(60));

/// What a run of `bench-select` says.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Run {
    keys: u64,
    /// Lines of all peers: nearly three for a key.
    reports: u64,
    pages: u64,
    wire_bytes: u64,
    contested: u64,
    missing: u64,
    cpu_s: f64,
    decode_s: f64,
    check_s: f64,
    take_s: f64,
    join_s: f64,
    peak_mib: f64,
}

/// All runs over as many keys.
#[derive(Debug, Serialize)]
struct Series {
    keys_per_s: Spread,
    reports_per_s: Spread,
    runs: Vec<Run>,
}

#[derive(Debug, Serialize)]
struct Report {
    machine: Machine,
    goal_keys_per_s: f64,
    series: Vec<Series>,
}

#[derive(Debug, PartialEq, Eq)]
struct Options {
    entries: Vec<u64>,
    rounds: u32,
    json: Option<PathBuf>,
}

pub(super) fn run(root: &Path, options: &[String]) -> anyhow::Result<()> {
    let options = Options::parse(options)?;
    println!("building with profile release ...");
    let programs = Programs::build(root, "release", &["--package", "bench-select"])?;
    let mut report = Report { machine: Machine::here(), goal_keys_per_s: GOAL_PER_S, series: Vec::new() };
    println!("{}", report.machine);
    for entries in &options.entries {
        let series = measure(programs.path("bench-select")?, *entries, options.rounds)?;
        println!("{}", series.line(*entries));
        report.series.push(series);
    }
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    let runs = report.series.iter().flat_map(|series| &series.runs);
    let over = runs.filter(|run| run.peak_mib >= LIMIT_MIB).count();
    ensure!(over == 0, "{over} runs took {LIMIT_MIB} MiB or more");
    Ok(())
}

fn measure(program: &Path, entries: u64, rounds: u32) -> anyhow::Result<Series> {
    let log = std::env::temp_dir().join(format!("peerstream-bench-select-{}.log", std::process::id()));
    let limit = LIMIT.0 + LIMIT.1.mul_f64(entries as f64 / 1e6);
    let mut runs = Vec::new();
    for _ in 0..rounds {
        let mut command = Command::new(program);
        let started = Measured::start(command.arg(entries.to_string()), &log, limit);
        let used = started?.finish()?;
        runs.push(serde_json::from_str(&used.said).with_context(|| format!("it said {:?}", used.said))?);
    }
    std::fs::remove_file(&log).with_context(|| log.display().to_string())?;
    Series::of(runs)
}

impl Series {
    fn of(runs: Vec<Run>) -> anyhow::Result<Self> {
        let spread = |count: fn(&Run) -> u64| {
            Spread::of(runs.iter().map(|run| count(run) as f64 / run.cpu_s)).context("there were no runs")
        };
        Ok(Self { keys_per_s: spread(|run| run.keys)?, reports_per_s: spread(|run| run.reports)?, runs })
    }

    fn line(&self, entries: u64) -> String {
        let Self { keys_per_s: Spread { min, median, max }, reports_per_s, runs } = self;
        let peak = runs.iter().map(|run| run.peak_mib).fold(0.0, f64::max);
        let nanos = |of: fn(&Run) -> f64| {
            let each = Spread::of(runs.iter().map(|run| of(run) * 1e9 / run.keys as f64));
            each.map_or(0.0, |each| each.median)
        };
        format!(
            "{entries:>11} keys: {:.2} / {:.2} / {:.2} million keys/s of a core (goal {}), {:.2} million reports/s; \
             ns a key: decode {:.0}, check {:.0}, take {:.0}, join {:.0}; peak {peak:.1} MiB",
            min / 1e6,
            median / 1e6,
            max / 1e6,
            GOAL_PER_S / 1e6,
            reports_per_s.median / 1e6,
            nanos(|run| run.decode_s),
            nanos(|run| run.check_s),
            nanos(|run| run.take_s),
            nanos(|run| run.join_s),
        )
    }
}

impl Options {
    fn parse(args: &[String]) -> anyhow::Result<Self> {
        let mut options = Self { entries: DEFAULT_ENTRIES.to_vec(), rounds: DEFAULT_ROUNDS, json: None };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().with_context(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--entries" => {
                    let counts = value()?.split(',').map(str::parse).collect::<Result<_, _>>();
                    options.entries = counts.context("--entries needs numbers")?;
                }
                "--rounds" => options.rounds = value()?.parse().context("--rounds needs a number")?,
                "--json" => options.json = Some(value()?.into()),
                unknown => bail!("bench select: unknown option {unknown:?}"),
            }
        }
        ensure!(options.rounds > 0, "--rounds 0 measures nothing");
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> anyhow::Result<Options> {
        Options::parse(&args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_read() {
        let options = parse(&["--entries", "1000,2000", "--rounds", "7"]).unwrap();
        assert_eq!(options, Options { entries: vec![1_000, 2_000], rounds: 7, json: None });
        assert_eq!(parse(&[]).unwrap().entries, DEFAULT_ENTRIES);
        for slip in [["--entries", "many"].as_slice(), &["--rounds", "0"], &["--entires", "1"]] {
            assert!(parse(slip).is_err(), "{slip:?}");
        }
    }

    /// A key that three peers report counts once against the goal.
    #[test]
    fn keys_are_what_the_goal_counts() {
        let run = Run {
            keys: 4_000_000,
            reports: 12_000_000,
            pages: 3_000,
            wire_bytes: 1 << 30,
            contested: 0,
            missing: 0,
            cpu_s: 2.0,
            decode_s: 1.0,
            check_s: 0.4,
            take_s: 0.2,
            join_s: 0.4,
            peak_mib: 8.0,
        };
        let series = Series::of(vec![run]).unwrap();
        assert_eq!((series.keys_per_s.median, series.reports_per_s.median), (2e6, 6e6));
        assert!(series.line(4_000_000).contains("decode 250, check 100"), "{}", series.line(1));
        assert!(Series::of(vec![]).is_err());
    }
}
