//! The command line of `cargo xtask bench`.

use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use serde::Serialize;

use super::contestant::Tool;
use super::workload::Workload;

/// Where runs happen unless told otherwise: in memory.
const DEFAULT_DIR: &str = "/dev/shm";
/// Rounds that make a median worth stating.
const DEFAULT_ROUNDS: u32 = 5;
/// Ethernet, and jumbo frames.
const DEFAULT_MTUS: [u16; 2] = [1452, 8972];

/// What is measured, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Options {
    pub(super) workloads: Vec<Workload>,
    pub(super) mtus: Vec<u16>,
    pub(super) tools: Vec<Tool>,
    pub(super) rounds: u32,
    /// Everybody makes its data durable before it ends.
    pub(super) sync: bool,
    /// Workloads of a quarter or less.
    pub(super) short: bool,
    /// Free memory is kept scarce and warm.
    pub(super) feeder: bool,
    pub(super) dir: PathBuf,
    pub(super) json: Option<PathBuf>,
}

impl Options {
    pub(super) fn parse(args: &[String]) -> anyhow::Result<Self> {
        let mut options = Self {
            workloads: Workload::ALL.to_vec(),
            mtus: DEFAULT_MTUS.to_vec(),
            tools: Tool::ALL.to_vec(),
            rounds: DEFAULT_ROUNDS,
            sync: false,
            short: false,
            feeder: false,
            dir: DEFAULT_DIR.into(),
            json: None,
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().with_context(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--workload" => options.workloads = list(value()?, Workload::named)?,
                "--mtu" => options.mtus = list(value()?, |mtu| mtu.parse().ok())?,
                "--tools" => options.tools = list(value()?, Tool::named)?,
                "--rounds" => options.rounds = value()?.parse().context("--rounds needs a number")?,
                "--sync" => options.sync = true,
                "--short" => options.short = true,
                "--feeder" => options.feeder = true,
                "--dir" => options.dir = value()?.into(),
                "--json" => options.json = Some(value()?.into()),
                unknown => bail!("bench: unknown option {unknown:?}"),
            }
        }
        ensure!(options.rounds > 0, "--rounds 0 measures nothing");
        Ok(options)
    }
}

/// Values with commas between them.
pub(super) fn list<T>(text: &str, parse: impl Fn(&str) -> Option<T>) -> anyhow::Result<Vec<T>> {
    text.split(',').map(|word| parse(word).with_context(|| format!("{word:?} is not known here"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> anyhow::Result<Options> {
        Options::parse(&args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_read() {
        let args =
            ["--workload", "A,D", "--mtu", "8972", "--sync", "--tools", "ours,raw-files", "--rounds", "7"];
        let options = parse(&args).unwrap();
        assert_eq!(options.workloads, [Workload::A, Workload::D]);
        assert_eq!((options.mtus, options.rounds, options.sync), (vec![8972], 7, true));
        assert_eq!(options.tools, [Tool::Ours, Tool::RawFiles]);
    }

    #[test]
    fn slips_are_refused() {
        for slip in [["--workload", "E"].as_slice(), &["--mtu", "big"], &["--tols"], &["--rounds", "0"]] {
            assert!(parse(slip).is_err(), "{slip:?}");
        }
    }
}
