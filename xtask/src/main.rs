//! The chores of the workspace, one file per task: `cargo xtask <task>`.
#![expect(clippy::print_stdout, reason = "chores talk to a person at a terminal")]

mod bench;
mod ci;
mod cluster;
mod demo;
mod instructions;
mod programs;
mod sim;
mod tidy;
mod venv;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <task> [options]

  tidy                    check the rules of the house that no compiler checks
  demo [--release] [--data DIR] [--mib N] [--keep]
                          bring an empty node up from a peer, and prove that nothing is missing
  cluster --nodes N [--base-port P] [--release]
                          run N nodes until Ctrl-C
  bench [--workload A,B,C,D] [--mtu 1452,8972] [--tools ours,raw,raw-files,rsync,nginx,cp]
        [--rounds 5] [--sync] [--short] [--feeder] [--dir DIR] [--json FILE]
                          measure transfers against other tools, see docs/performance.md
  bench memory [--case A-2GiB,A-16GiB,D,B-8-sessions] [--mtu N] [--dir DIR] [--json FILE]
                          measure the peak memory of each end
  bench sources [--workload A,B] [--mtu 1452,8972] [--rounds 5] [--uncapped] [--short] [--feeder] [--dir DIR]
        [--json FILE]     measure three donors with caps against one with the sum of them
  bench select [--entries 1000000,10000000,100000000] [--rounds 3] [--json FILE]
                          compare the inventories of three peers, and measure what a key costs
  instructions [--bless]  count the instructions of the hot loops, against the last counts
  sim [SCENARIO] [--seed S | --seeds A..B] [--nodes N] [--transport mem|quic] [--trace FILE] [--report FILE]
                          run a scenario in virtual time; without one, list them
  ci [--full] [--from STEP] [--list]
                          run every check of a change, in order; --full adds the long ones, --from leaves out
                          those before a step
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> anyhow::Result<()> {
    let Some((task, options)) = args.split_first() else {
        anyhow::bail!("no task given\n\n{USAGE}");
    };
    // What comes after `sim` is for its own program, which has its own help.
    if task != "sim" && options.iter().any(|option| ["--help", "-h"].contains(&option.as_str())) {
        print!("{USAGE}");
        return Ok(());
    }
    match task.as_str() {
        "bench" => bench::run(&workspace_root(), options),
        "ci" => ci::run(&workspace_root(), options),
        "cluster" => cluster::run(&workspace_root(), options),
        "demo" => demo::run(&workspace_root(), options),
        "instructions" => instructions::run(&workspace_root(), options),
        "sim" => sim::run(&workspace_root(), options),
        "tidy" => tidy::run(&workspace_root()),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        unknown => anyhow::bail!("unknown task {unknown:?}\n\n{USAGE}"),
    }
}

/// The root of the checkout that this binary was built from.
fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(1).expect("xtask lies in the root").to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_is_asked_for_help_does_nothing_else() {
        for args in [["bench", "--help"].as_slice(), &["bench", "memory", "-h"], &["cluster", "--help"]] {
            let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
            assert!(run(&args).is_ok(), "{args:?}");
        }
    }
}
