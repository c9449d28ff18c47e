//! Runs scenarios: `cargo xtask sim SCENARIO --seed S`.
#![expect(clippy::print_stderr, reason = "it talks to a person at a terminal")]

use std::collections::BTreeSet;
use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use clap::Parser;
use peerstream_sim::Network;
use peerstream_sim::report::Report;
use peerstream_sim::scenario::{Done, Failure, Narrowed, RunOptions, SHIPPED, Scenario, shipped};

type Error = Box<dyn std::error::Error>;

/// Runs a scenario in virtual time, from a seed.
#[derive(Debug, Parser)]
#[command(name = "peerstream-sim")]
struct Options {
    /// A shipped scenario, or a file of one. Without it, the shipped ones are listed.
    scenario: Option<String>,
    /// Where all chance comes from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Run many seeds: from the first up to, and without, the second.
    #[arg(long, value_name = "A..B", conflicts_with = "seed")]
    seeds: Option<Seeds>,
    /// How many replicas, instead of those of the scenario.
    #[arg(long)]
    nodes: Option<u32>,
    /// The network, instead of that of the scenario.
    #[arg(long, value_parser = network, value_name = "mem|quic")]
    transport: Option<Network>,
    /// Faults to leave out, by their numbers.
    #[arg(long, value_delimiter = ',')]
    without: Vec<usize>,
    /// Write what happened, line by line. Of many seeds, that of the one that fails, with all its faults.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Write one HTML page: who fed whom, faults, figures. Of many seeds, that of the one that fails, with
    /// all its faults; which of them it does without is said beside.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Seeds to run.
#[derive(Debug, Clone)]
struct Seeds(RangeInclusive<u64>);

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ends = text.split_once("..").and_then(|(a, b)| Some((a.parse().ok()?, b.parse::<u64>().ok()?)));
        let range = ends.and_then(|(first, end)| Some(first..=end.checked_sub(1)?));
        range
            .filter(|range| !range.is_empty())
            .map(Self)
            .ok_or_else(|| "seeds are written like 0..1000".into())
    }
}

fn network(text: &str) -> Result<Network, String> {
    match text {
        "mem" | "memory" => Ok(Network::Memory),
        "quic" => Ok(Network::Quic),
        _ => Err("a transport is mem or quic".into()),
    }
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<ExitCode, Error> {
    let Some(name) = &options.scenario else {
        list()?;
        return Ok(ExitCode::SUCCESS);
    };
    let scenario = load(name)?;
    let seeds = options.seeds.clone().map_or(options.seed..=options.seed, |seeds| seeds.0);
    check(options, &scenario, *seeds.start())?;
    let job = Job { options, name, scenario: &scenario };
    for seed in seeds.clone() {
        let run = run_options(options, &scenario, seed);
        match scenario.run(&run) {
            Ok(done) if options.seeds.is_none() => {
                say(format_args!("seed {seed}: {}", done.summary))?;
                job.write_out(&run, Ok(&done), None)?;
            }
            Ok(_) => {}
            Err(failure) => {
                job.tell(&run, &failure)?;
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    if options.seeds.is_some() {
        say(format_args!("seeds {} to {}: no failure", seeds.start(), seeds.end()))?;
        for path in [&options.trace, &options.report].into_iter().flatten() {
            say(format_args!("{} is not written: of many seeds, the one that fails is", path.display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Refuses what cannot be run, or whose files cannot be written, before anything runs.
fn check(options: &Options, scenario: &Scenario, seed: u64) -> Result<(), Error> {
    scenario.check(&run_options(options, scenario, seed))?;
    for path in [&options.trace, &options.report].into_iter().flatten() {
        let is_there = path.exists();
        let opened = OpenOptions::new().append(true).create(true).open(path);
        opened.map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
        if !is_there {
            std::fs::remove_file(path)?;
        }
    }
    if options.trace.is_some() && options.trace == options.report {
        return Err("the trace and the report need a file each".into());
    }
    Ok(())
}

/// Prints a line. Who reads no further, as `head` does, is no reason to fail.
fn say(line: impl Display) -> Result<(), Error> {
    match writeln!(std::io::stdout(), "{line}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn list() -> Result<(), Error> {
    say("scenarios:")?;
    SHIPPED.iter().try_for_each(|(name, _)| {
        let about = shipped(name).map(|scenario| scenario.about).unwrap_or_default();
        say(format_args!("  {name:16} {about}"))
    })
}

fn load(name: &str) -> Result<Scenario, Error> {
    if let Some(scenario) = shipped(name) {
        return Ok(scenario);
    }
    if !Path::new(name).exists() {
        let names: Vec<_> = SHIPPED.iter().map(|(name, _)| *name).collect();
        return Err(format!("{name} is neither a file nor one of {}", names.join(", ")).into());
    }
    let text = std::fs::read_to_string(name).map_err(|error| format!("{name}: {error}"))?;
    text.parse().map_err(|error| format!("{name}: {error}").into())
}

fn run_options(options: &Options, scenario: &Scenario, seed: u64) -> RunOptions {
    let mut run = scenario.options(seed);
    run.replicas = options.nodes.unwrap_or(run.replicas);
    run.network = options.transport.unwrap_or(run.network);
    run.without = options.without.iter().copied().collect::<BTreeSet<_>>();
    run
}

/// What is run, and what is to come of it.
struct Job<'a> {
    options: &'a Options,
    name: &'a str,
    scenario: &'a Scenario,
}

impl Job<'_> {
    fn write_out(
        &self,
        run: &RunOptions,
        outcome: Result<&Done, &Failure>,
        narrowed: Option<&Narrowed>,
    ) -> Result<(), Error> {
        let written = |path: &PathBuf, text: &str| {
            std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
        };
        if let Some(path) = &self.options.trace {
            written(path, outcome.map_or_else(|failure| &failure.trace, |done| &done.trace))?;
        }
        if let Some(path) = &self.options.report {
            let (faults, bound) = (self.scenario.faults(run), self.scenario.bound(run));
            let (name, about) = (self.name, self.scenario.about.as_str());
            let page = Report { name, about, options: run, faults: &faults, outcome, narrowed, bound };
            written(path, &page.html())?;
        }
        Ok(())
    }

    /// Says what failed, with as few faults as it takes, and how to see it again.
    fn tell(&self, run: &RunOptions, failure: &Failure) -> Result<(), Error> {
        say(format_args!("seed {}: {failure}", run.seed))?;
        say("leaving out faults that it does not need ...")?;
        let narrowed = self.scenario.narrow(run, failure.clone());
        for (place, timed) in self.scenario.faults(run).iter().enumerate() {
            if !narrowed.options.without.contains(&place) {
                say(format_args!("  {place:3} {timed}"))?;
            }
        }
        say(format_args!("after {} runs: {}", narrowed.runs, narrowed.failure))?;
        say(format_args!("to repeat it:\n  {}", command(self.name, &narrowed.options)))?;
        self.write_out(run, Err(failure), Some(&narrowed))
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

fn command(name: &str, run: &RunOptions) -> String {
    let transport = match run.network {
        Network::Memory => "mem",
        Network::Quic => "quic",
    };
    let RunOptions { seed, replicas, .. } = run;
    let mut command =
        format!("cargo xtask sim {} --seed {seed} --nodes {replicas} --transport {transport}", quoted(name));
    if !run.without.is_empty() {
        let without: Vec<String> = run.without.iter().map(usize::to_string).collect();
        command += &format!(" --without {}", without.join(","));
    }
    command
}
