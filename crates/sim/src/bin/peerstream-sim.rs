//! Runs scenarios: `cargo xtask sim SCENARIO --seed S`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it talks to a person at a terminal")]

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use clap::Parser;
use peerstream_sim::Network;
use peerstream_sim::report::Report;
use peerstream_sim::scenario::{Done, Failure, RunOptions, SHIPPED, Scenario, shipped};

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
    /// Write what happened, line by line.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Write one HTML page: who fed whom, faults, figures.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Seeds to run.
#[derive(Debug, Clone)]
struct Seeds(Range<u64>);

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let range = text.split_once("..").and_then(|(a, b)| Some(a.parse().ok()?..b.parse().ok()?));
        let range = range.filter(|range| !range.is_empty());
        range.map(Self).ok_or_else(|| "seeds are written like 0..1000".into())
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
        list();
        return Ok(ExitCode::SUCCESS);
    };
    let scenario = load(name)?;
    let seeds = options.seeds.clone().map_or(options.seed..options.seed.saturating_add(1), |seeds| seeds.0);
    let many = seeds.end - seeds.start > 1;
    for seed in seeds.clone() {
        let run = run_options(options, &scenario, seed);
        match scenario.run(&run) {
            Ok(done) => {
                if !many {
                    println!("seed {seed}: {}", done.summary);
                    write_out(options, name, &scenario, &run, &done)?;
                }
            }
            Err(failure) => {
                tell(options, name, &scenario, &run, failure)?;
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    if many {
        println!("seeds {} to {}: no failure", seeds.start, seeds.end - 1);
    }
    Ok(ExitCode::SUCCESS)
}

fn list() {
    println!("scenarios:");
    for (name, _) in SHIPPED {
        println!("  {name:16} {}", shipped(name).map(|scenario| scenario.about).unwrap_or_default());
    }
}

fn load(name: &str) -> Result<Scenario, Error> {
    if let Some(scenario) = shipped(name) {
        return Ok(scenario);
    }
    if !Path::new(name).exists() {
        let names: Vec<_> = SHIPPED.iter().map(|(name, _)| *name).collect();
        return Err(format!("{name} is neither a file nor one of {}", names.join(", ")).into());
    }
    let text = std::fs::read_to_string(name)?;
    text.parse().map_err(|error| format!("{name}: {error}").into())
}

fn run_options(options: &Options, scenario: &Scenario, seed: u64) -> RunOptions {
    let mut run = scenario.options(seed);
    run.replicas = options.nodes.unwrap_or(run.replicas);
    run.network = options.transport.unwrap_or(run.network);
    run.without = options.without.iter().copied().collect::<BTreeSet<_>>();
    run
}

fn write_out(
    options: &Options,
    name: &str,
    scenario: &Scenario,
    run: &RunOptions,
    done: &Done,
) -> Result<(), Error> {
    if let Some(path) = &options.trace {
        std::fs::write(path, &done.trace)?;
    }
    if let Some(path) = &options.report {
        let (faults, about) = (scenario.faults(run), scenario.about.as_str());
        let page = Report { name, about, options: run, faults: &faults, done, bound: scenario.bound(run) };
        std::fs::write(path, page.html())?;
    }
    Ok(())
}

/// Says what failed, with as few faults as it takes, and how to see it again.
fn tell(
    options: &Options,
    name: &str,
    scenario: &Scenario,
    run: &RunOptions,
    failure: Failure,
) -> Result<(), Error> {
    println!("seed {}: {failure}", run.seed);
    println!("leaving out faults that it does not need ...");
    let narrowed = scenario.narrow(run, failure);
    for (place, timed) in scenario.faults(run).iter().enumerate() {
        if !narrowed.options.without.contains(&place) {
            println!("  {place:3} {timed}");
        }
    }
    println!("after {} runs: {}", narrowed.runs, narrowed.failure);
    println!("to repeat it:\n  {}", command(name, &narrowed.options));
    if let Some(path) = &options.trace {
        std::fs::write(path, &narrowed.failure.trace)?;
    }
    Ok(())
}

fn command(name: &str, run: &RunOptions) -> String {
    let transport = match run.network {
        Network::Memory => "mem",
        Network::Quic => "quic",
    };
    let RunOptions { seed, replicas, .. } = run;
    let mut command =
        format!("cargo xtask sim {name} --seed {seed} --nodes {replicas} --transport {transport}");
    if !run.without.is_empty() {
        let without: Vec<String> = run.without.iter().map(usize::to_string).collect();
        command += &format!(" --without {}", without.join(","));
    }
    command
}
