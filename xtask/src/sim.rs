//! `cargo xtask sim SCENARIO …`: a scenario in virtual time, from a seed. What comes after `sim` is for
//! the program of `peerstream-sim`, which says what it takes with `--help`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

/// Scenario, network and seeds of the sweep: some minutes on one core.
const SWEEP: [(&str, &str, &str); 4] = [
    ("fault-mix", "mem", "0..2000"),
    ("fault-mix", "quic", "0..500"),
    ("fault-mix-disk", "mem", "0..2000"),
    ("fault-mix-disk", "quic", "0..500"),
];

/// Builds the simulator and hands the options on.
pub(crate) fn run(root: &Path, options: &[String]) -> anyhow::Result<()> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root).args(["run", "--release", "--quiet", "--package", "peerstream-sim"]);
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
