//! Tables for people, JSON for programs.

use std::fmt::Write;

use serde::Serialize;

use super::figures::{self, Ratio, Spread};
use super::machine::Machine;
use super::options::Options;
use super::round::{Failure, Run};
use super::workload::{Made, Size, Workload};

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) machine: Machine,
    options: Options,
    pub(super) series: Vec<Series>,
}

impl Report {
    pub(super) fn new(options: &Options) -> Self {
        Self { machine: Machine::here(), options: options.clone(), series: Vec::new() }
    }
}

/// All runs of one workload.
#[derive(Debug, Serialize)]
pub(super) struct Series {
    workload: Workload,
    size: Size,
    /// Who could not run, and why.
    absent: Vec<String>,
    pub(super) runs: Vec<Run>,
    pub(super) failures: Vec<Failure>,
}

impl Series {
    pub(super) fn new(workload: Workload, made: &Made, absent: Vec<String>) -> Self {
        Self { workload, size: made.size, absent, runs: Vec::new(), failures: Vec::new() }
    }

    /// As text, with pipes, so that it can stand in a document.
    pub(super) fn table(&self) -> String {
        let mut text = format!("Workload {}: {}\n\n", self.workload, self.size);
        text += "| contestant | s median | MiB/s min / median / max | files/s | CPU-s/GiB (send + receive) | peak MiB send / receive |\n";
        text += "|---|---:|---:|---:|---:|---:|\n";
        for contestant in figures::contestants(&self.runs) {
            let runs = || self.runs.iter().filter(move |run| run.contestant == contestant);
            let of = |value: fn(&Run) -> f64| Spread::of(runs().map(value));
            if let Some(row) = row(self.size, &of) {
                writeln!(text, "| {contestant} | {row} |").ok();
            }
        }
        let ratios = figures::ratios(&self.runs);
        if !ratios.is_empty() {
            text += "\n| median of pairs (min to max) | speed | CPU |\n|---|---:|---:|\n";
        }
        for Ratio { ours, against, speed, cpu } in &ratios {
            let spread = |s: &Spread| format!("{:.2} ({:.2} to {:.2})", s.median, s.min, s.max);
            writeln!(text, "| {ours} / {against} | {} | {} |", spread(speed), spread(cpu)).ok();
        }
        text + &self.notes()
    }

    fn notes(&self) -> String {
        let prepared = self.runs.iter().filter(|run| run.prepare_s > 0.0);
        let prepare = Spread::of(prepared.map(|run| run.prepare_s));
        let mut text = prepare.map_or(String::new(), |prepare| {
            format!(
                "\nour sender's preparation, once per snapshot and not in the figures: {:.2} s\n",
                prepare.median
            )
        });
        for absent in &self.absent {
            writeln!(text, "absent: {absent}").ok();
        }
        text
    }
}

/// The figures of one contestant.
fn row(size: Size, of: &dyn Fn(fn(&Run) -> f64) -> Option<Spread>) -> Option<String> {
    let (wall, speed, files) = (of(|run| run.wall_s)?, of(|run| run.mib_per_s)?, of(|run| run.files_per_s)?);
    let (cpu, sent, received) =
        (of(|run| run.cpu_per_gib)?, of(|run| run.sender_cpu_s)?, of(|run| run.receiver_cpu_s)?);
    let (rss_sent, rss_received) = (of(|run| run.sender_rss_mib)?, of(|run| run.receiver_rss_mib)?);
    Some(format!(
        "{:.2} | {:.0} / **{:.0}** / {:.0} | {:.0} | {:.2} ({:.2} + {:.2}) | {:.0} / {:.0}",
        wall.median,
        speed.min,
        speed.median,
        speed.max,
        files.median,
        cpu.median,
        sent.median / size.gib(),
        received.median / size.gib(),
        rss_sent.max,
        rss_received.max,
    ))
}

#[cfg(test)]
mod tests {
    use super::super::contestant::Tool;
    use super::super::figures::tests::sample;
    use super::*;

    #[test]
    fn the_table_has_a_row_per_contestant_and_says_who_is_absent() {
        let size = Size { files: 1, bytes: 2 << 30 };
        let made = Made { dir: "/w/A".into(), size };
        let mut series = Series::new(Workload::A, &made, vec!["rsync: rsync is not installed".into()]);
        series.runs = vec![sample(Tool::Ours, Some(1452), 1, 4.0), sample(Tool::Raw, Some(1452), 1, 2.0)];
        let table = series.table();
        assert!(
            table.contains("| ours 1452 | 4.00 | 512 / **512** / 512 | 0 | 4.00 (2.00 + 2.00) | 20 / 30 |"),
            "{table}"
        );
        assert!(
            table.contains("| ours 1452 / raw 1452 | 0.50 (0.50 to 0.50) | 2.00 (2.00 to 2.00) |"),
            "{table}"
        );
        assert!(table.contains("absent: rsync"), "{table}");
    }
}
