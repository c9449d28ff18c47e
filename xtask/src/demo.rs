//! `cargo xtask demo`: an empty node is brought up from a peer, as real processes, and nothing is
//! missing afterwards.
//!
//! Without `--release`, our own code is not optimised (dependencies are): it starts sooner, and its
//! rate says little.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use devcluster::{Cluster, Running, SERVE_EVERYTHING, tree};
use serde::Deserialize;

use crate::programs::Programs;

/// Size of the database that is made if nobody names a directory.
const DEFAULT_MIB: u64 = 300;
/// The shard of the demonstration.
const SHARD: &str = "demo@1/0";
/// What content is verified by.
const CHUNK_LEN: u64 = 256 * 1024;

#[derive(Debug, PartialEq, Eq)]
struct Options {
    release: bool,
    keep: bool,
    data: Option<PathBuf>,
    mib: u64,
}

/// The parts of a plan's end that the report needs.
#[derive(Debug, Deserialize)]
struct Plan {
    elapsed_ms: u64,
    bytes_done: u64,
    bytes_per_sec: u64,
    shards: Vec<Shard>,
}

#[derive(Debug, Deserialize)]
struct Shard {
    entries_done: u64,
    bytes_wasted: u64,
    outcome: Outcome,
}

#[derive(Debug, Deserialize)]
struct Outcome {
    generation: u64,
}

/// Options: `--release` builds at full speed, `--data DIR` takes a directory instead of a database
/// made for the purpose, `--mib N` says how large that one is, `--keep` leaves everything there.
pub(crate) fn run(root: &Path, options: &[String]) -> anyhow::Result<()> {
    let options = Options::parse(options)?;
    let programs = build(root, &options)?;
    let dir = root.join("target").join(format!("demo-{}", std::process::id()));
    std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    let outcome = demonstrate(&programs, &dir, &options);
    if options.keep {
        println!("kept {}", dir.display());
    } else {
        std::fs::remove_dir_all(&dir).with_context(|| dir.display().to_string())?;
    }
    outcome
}

fn demonstrate(programs: &Programs, dir: &Path, options: &Options) -> anyhow::Result<()> {
    let data = match &options.data {
        Some(data) => data.clone(),
        None => {
            println!("writing a database of {} MiB ...", options.mib);
            let data = dir.join("database");
            tell(programs, "write", &data, options.mib)?;
            data
        }
    };
    let cluster = Cluster::init(programs.path("peerstream")?, dir.join("nodes"))?;
    let (mut donor, mut replica) = start(&cluster, &data)?;
    println!("donor at {}, empty node at {}; bringing it up ...", donor.addr(), replica.addr());
    let plan = bootstrap(&replica)?;
    let shard = plan.shards.first().context("the plan has no shard")?;
    let copy = replica.dir().published(SHARD, shard.outcome.generation);
    if let Some(difference) = tree::difference(&data, &copy)? {
        bail!("the copy is not equal: {difference}");
    }
    // A database that is opened writes to its directory, and a running node's is the node's.
    for node in [&mut donor, &mut replica] {
        let status = node.terminate()?;
        ensure!(status.success(), "a node did not stop in order: {status}\n{}", node.log().tail());
    }
    if options.data.is_none() {
        tell(programs, "check", &copy, options.mib)?;
    }
    report(&plan, shard, &tree::files(&data)?.into_values().collect::<Vec<u64>>());
    Ok(())
}

fn start(cluster: &Cluster, data: &Path) -> anyhow::Result<(Running, Running)> {
    let data = std::fs::canonicalize(data).with_context(|| data.display().to_string())?;
    let serve = format!("[[dataset]]\nname = \"demo\"\nserve = {:?}\n{SERVE_EVERYTHING}", data);
    let donor = cluster.start("donor", &serve)?;
    let receive = format!("[[dataset]]\nname = \"demo\"\n{}", donor.as_peer());
    let replica = cluster.start("replica", &receive)?;
    Ok((donor, replica))
}

/// Brings the replica up; its progress goes to the terminal.
fn bootstrap(replica: &Running) -> anyhow::Result<Plan> {
    let mut command = replica.command("bootstrap");
    let output = command.args([SHARD, "--output", "json"]).stderr(Stdio::inherit()).output()?;
    ensure!(
        output.status.success(),
        "the replica was not brought up; its last words:\n{}",
        replica.log().tail()
    );
    serde_json::from_slice(&output.stdout).context("the answer of `bootstrap --output json` is no plan")
}

/// Has the database written or read, and says what came of it.
fn tell(programs: &Programs, what: &str, data: &Path, mib: u64) -> anyhow::Result<()> {
    let store = programs.path("demo-store")?;
    let mut command = Command::new(store);
    let command = command.arg(what).arg(data).arg(mib.to_string()).stderr(Stdio::inherit());
    let output = command.output().with_context(|| store.display().to_string())?;
    ensure!(output.status.success(), "the database cannot be used: demo-store {what} {}", data.display());
    print!("database: {}", String::from_utf8_lossy(&output.stdout));
    Ok(())
}

fn report(plan: &Plan, shard: &Shard, lens: &[u64]) {
    const MIB: f64 = 1_048_576.0;
    let chunks: u64 = lens.iter().map(|len| len.div_ceil(CHUNK_LEN).max(1)).sum();
    let (mib, seconds) = (plan.bytes_done as f64 / MIB, plan.elapsed_ms as f64 / 1000.0);
    println!("\nthe empty node was brought up and has all of it, byte for byte");
    println!("  entries    {:>10}   files, each complete", shard.entries_done);
    println!("  chunks     {chunks:>10}   of 256 KiB at most, each verified before it was stored");
    println!("  moved      {mib:>10.1}   MiB, {} bytes of it thrown away", shard.bytes_wasted);
    println!(
        "  time       {seconds:>10.2}   s, from the command to the publish, hashing at the donor included"
    );
    println!("  rate       {:>10.1}   MiB/s", plan.bytes_per_sec as f64 / MIB);
}

/// Builds the programs.
fn build(root: &Path, options: &Options) -> anyhow::Result<Programs> {
    let profile = if options.release { "release" } else { "dev" };
    println!(
        "building with profile {profile}{} ...",
        if options.release { "" } else { " (--release is faster)" }
    );
    let mut packages = vec!["--package", "peerstream-node"];
    if options.data.is_none() {
        packages.extend(["--package", "demo-store"]);
    }
    Programs::build(root, profile, &packages)
}

impl Options {
    fn parse(args: &[String]) -> anyhow::Result<Self> {
        let mut options = Self { release: false, keep: false, data: None, mib: DEFAULT_MIB };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().with_context(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--release" => options.release = true,
                "--keep" => options.keep = true,
                "--data" => options.data = Some(PathBuf::from(value()?)),
                "--mib" => options.mib = value()?.parse().context("--mib needs a number")?,
                unknown => bail!("demo: unknown option {unknown:?}"),
            }
        }
        ensure!(options.mib > 0, "--mib 0 is no database");
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
        let options = parse(&["--release", "--data", "/d", "--mib", "5", "--keep"]).unwrap();
        assert_eq!(options, Options { release: true, keep: true, data: Some("/d".into()), mib: 5 });
    }

    #[test]
    fn slips_are_refused() {
        for slip in [["--dta", "x"].as_slice(), &["--data"], &["--mib", "many"], &["--mib", "0"]] {
            assert!(parse(slip).is_err(), "{slip:?}");
        }
    }
}
