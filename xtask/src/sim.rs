//! `cargo xtask sim SCENARIO …`: a scenario in virtual time, from a seed. What comes after `sim` is for
//! the program of `peerstream-sim`, which says what it takes with `--help`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

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
