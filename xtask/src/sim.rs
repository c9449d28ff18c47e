//! `cargo xtask sim SCENARIO …`: a scenario in virtual time, from a seed. What comes after `sim` is for
//! the program of `peerstream-sim`, which says what it takes with `--help`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::programs::Programs;

/// Scenario, network and seeds of the sweep: some minutes on one core.
const SWEEP: [(&str, &str, &str); 6] = [
    ("fault-mix", "mem", "0..2000"),
    ("fault-mix", "quic", "0..500"),
    ("fault-mix-disk", "mem", "0..2000"),
    ("fault-mix-disk", "quic", "0..500"),
    ("consistency", "mem", "0..5000"),
    ("consistency-blocks", "mem", "0..5000"),
];
/// Seeds whose traces are compared between builds.
const COMPARED: std::ops::Range<u64> = 100..112;

/// Memory that one seed has freed stays for the next one: glibc would give it back, and the kernel make
/// every page anew. A quarter of the time over disks, an eighth over QUIC; the peak stays what it is.
const KEEP_FREED: [(&str, &str); 2] =
    [("MALLOC_MMAP_THRESHOLD_", "33554432"), ("MALLOC_TRIM_THRESHOLD_", "1073741824")];

/// Builds the simulator and hands the options on.
pub(crate) fn run(root: &Path, options: &[String]) -> anyhow::Result<()> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let mut command = Command::new(cargo);
    // Where the caller is, so that relative paths are found.
    command.envs(KEEP_FREED).args(["run", "--release", "--quiet", "--package", "peerstream-sim"]);
    command.arg("--manifest-path").arg(root.join("Cargo.toml"));
    let command = command.args(["--features", "cli", "--bin", "peerstream-sim", "--"]).args(options);
    let status = command.status().context("cargo does not start")?;
    ensure!(status.success(), "the simulation failed");
    Ok(())
}

/// Runs the mixes of faults over many seeds.
pub(crate) fn sweep(root: &Path) -> anyhow::Result<()> {
    SWEEP.iter().try_for_each(|(scenario, transport, seeds)| {
        let options = [*scenario, "--transport", transport, "--seeds", seeds].map(str::to_owned);
        run(root, &options).with_context(|| format!("{scenario} over {transport}"))
    })
}

/// Holds the traces of every shipped scenario in the debug build against those in the release build,
/// byte for byte, each run in a process of its own. Traces that differ are left for a look.
pub(crate) fn compare_builds(root: &Path) -> anyhow::Result<()> {
    let builds = [("debug", build(root, "dev")?), ("release", build(root, "release")?)];
    let dir = root.join("target").join(format!("traces-{}", std::process::id()));
    std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    for scenario in shipped(root)? {
        for transport in ["mem", "quic"] {
            for seed in COMPARED {
                let run =
                    [&scenario, "--transport", transport, "--seed", &seed.to_string()].map(str::to_owned);
                let [debug, release] = builds.each_ref().map(|(build, program)| {
                    let file = dir.join(format!("{}-{build}", run.join("")));
                    trace(program, &run, file).with_context(|| format!("the {build} build"))
                });
                same(&debug?, &release?).with_context(|| run.join(" "))?;
            }
            println!("{scenario} over {transport}: {} seeds, equal in both builds", COMPARED.count());
        }
    }
    std::fs::remove_dir_all(&dir).with_context(|| dir.display().to_string())
}

/// The names of the scenarios that come with the simulator.
fn shipped(root: &Path) -> anyhow::Result<Vec<String>> {
    let dir = root.join("crates/sim/scenarios");
    let mut names = Vec::new();
    for file in std::fs::read_dir(&dir).with_context(|| dir.display().to_string())? {
        names.extend(file?.path().file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    ensure!(!names.is_empty(), "no scenario in {}", dir.display());
    Ok(names)
}

/// Builds the simulator with a profile, and says where the program is.
fn build(root: &Path, profile: &str) -> anyhow::Result<PathBuf> {
    let packages = ["--package", "peerstream-sim", "--features", "cli"];
    Ok(Programs::build(root, profile, &packages)?.path("peerstream-sim")?.to_path_buf())
}

/// Runs a scenario and writes its trace to a file.
fn trace(program: &Path, run: &[String], file: PathBuf) -> anyhow::Result<PathBuf> {
    let mut command = Command::new(program);
    let status = command.args(run).arg("--trace").arg(&file).stdout(Stdio::null()).status();
    let status = status.with_context(|| program.display().to_string())?;
    ensure!(status.success(), "{} failed", run.join(" "));
    Ok(file)
}

/// Refuses files that differ, and names the first line that does.
fn same(one: &Path, other: &Path) -> anyhow::Result<()> {
    let read = |path: &Path| std::fs::read_to_string(path).with_context(|| path.display().to_string());
    let (ours, theirs) = (read(one)?, read(other)?);
    ensure!(!ours.is_empty(), "{} is empty", one.display());
    let line = ours.lines().zip(theirs.lines()).take_while(|(ours, theirs)| ours == theirs).count() + 1;
    ensure!(ours == theirs, "{} and {} differ from line {line} on", one.display(), other.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_scenarios_are_found() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let found = shipped(&root).unwrap();
        assert!(found.contains(&"fault-mix".to_owned()) && found.is_sorted(), "{found:?}");
    }

    #[test]
    fn first_line_that_differs_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let files = ["a", "b", "c", "empty"].map(|name| dir.path().join(name));
        for (file, text) in files.iter().zip(["1\n2\n3", "1\n2\n3", "1\nx\n3", ""]) {
            std::fs::write(file, text).unwrap();
        }
        let [a, b, c, empty] = &files;
        assert!(same(a, b).is_ok());
        assert!(same(a, c).unwrap_err().to_string().contains("from line 2 on"));
        assert!(same(empty, empty).is_err());
    }
}
