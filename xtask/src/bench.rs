//! `cargo xtask bench`: our transfers against a raw connection, plain files and other tools, as pairs
//! of real processes.
//!
//! `docs/performance.md` says how it measures and why; here is where what happens.
//!
//! | module | what it does |
//! |---|---|
//! | `options` | the command line |
//! | `site` | the directory of a run, the peer program, warm memory |
//! | `workload` | what is transferred |
//! | `contestant` | who transfers, and how it is started |
//! | `measured` | a process with its wall time, processor time and peak memory |
//! | `round` | one transfer by one contestant |
//! | `figures`, `report` | medians, ratios of pairs, tables, JSON |
//! | `memory` | `cargo xtask bench memory`: the peak memory of each end |
//! | `select` | `cargo xtask bench select`: comparing the inventories of three peers |
//! | `sources` | `cargo xtask bench sources`: three donors with caps against one with their sum |

mod contestant;
mod figures;
mod machine;
mod measured;
mod memory;
mod options;
mod report;
mod round;
mod rsync_nginx;
mod select;
mod site;
mod sources;
mod workload;

use std::path::Path;

use anyhow::{Context, ensure};

use contestant::Contestant;
use options::Options;
use report::{Report, Series};
use round::Failure;
use site::Site;
use workload::Workload;

/// Options: see `USAGE` in `main.rs` and `docs/performance.md`.
pub(crate) fn run(root: &Path, options: &[String]) -> anyhow::Result<()> {
    match options.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        Some(("memory", options)) => return memory::run(root, options),
        Some(("select", options)) => return select::run(root, options),
        Some(("sources", options)) => return sources::run(root, options),
        _ => {}
    }
    let options = Options::parse(options)?;
    let mut site = Site::open(root, &options.dir, options.feeder)?;
    let mut report = Report::new(&options);
    println!("{}", report.machine);
    for workload in &options.workloads {
        let series = measure(&mut site, *workload, &options)?;
        println!("\n{}", series.table());
        report.series.push(series);
    }
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    let failures: Vec<&Failure> = report.series.iter().flat_map(|series| &series.failures).collect();
    for failure in &failures {
        println!("failed: {failure}");
    }
    ensure!(failures.is_empty(), "{} runs failed", failures.len());
    Ok(())
}

/// Runs every contestant once per round, in the same order.
fn measure(site: &mut Site, workload: Workload, options: &Options) -> anyhow::Result<Series> {
    let made = site.make(workload, options.short)?;
    let (mut field, absent) = Contestant::field(options, workload);
    let mut series = Series::new(workload, &made, absent);
    for round in 1..=options.rounds {
        // Another one begins each round: who runs after whom has its price, and everybody pays it.
        if round > 1 && !field.is_empty() {
            field.rotate_left(1);
        }
        for contestant in &field {
            match round::run(site, &made, contestant, options.sync, round == 1) {
                Ok(run) => {
                    println!("  round {round} {run}");
                    series.runs.push(run.in_round(round));
                }
                Err(error) => {
                    println!("  round {round} {contestant}: {error:#}");
                    series.failures.push(Failure::new(workload, contestant, round, &error));
                }
            }
        }
    }
    site.unmake(&made)?;
    Ok(series)
}
