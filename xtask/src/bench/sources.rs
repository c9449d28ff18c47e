//! `cargo xtask bench sources`: three donors, each with a cap, against one with the sum of their caps.
//!
//! A donor's cap is a shaper of the bench's own in its engine: the product has none yet.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};

use super::contestant::Ready;
use super::figures::Spread;
use super::machine::Machine;
use super::measured::Measured;
use super::options::list;
use super::site::Site;
use super::workload::{Made, Workload};

/// Where runs happen unless told otherwise: in memory.
const DEFAULT_DIR: &str = "/dev/shm";
/// Rounds that make a median worth stating.
const DEFAULT_ROUNDS: u32 = 5;
/// Ethernet, and jumbo frames.
const DEFAULT_MTUS: [u16; 2] = [1452, 8972];
/// One large entry, and many.
const DEFAULT_WORKLOADS: [Workload; 2] = [Workload::A, Workload::B];
/// What three donors have to reach of the sum of their caps.
const GOAL_OF_SUM: f64 = 0.97;
/// What all processes together may take for a GiB, in seconds.
const GOAL_CPU_PER_GIB: f64 = 2.35;

/// Who serves, and how fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Donors {
    count: usize,
    /// `None`: as fast as it goes, which tells what a cap costs.
    mib_per_s_each: Option<u32>,
    mtu: u16,
}

/// One transfer.
#[derive(Debug, Clone, Serialize)]
struct Run {
    donors: Donors,
    round: u32,
    /// From the start of the receiver to its end.
    wall_s: f64,
    mib_per_s: f64,
    /// What was reached of the sum of the caps, if there are any.
    of_sum: Option<f64>,
    /// Processor seconds per GiB of all processes together, without the donors' preparation.
    cpu_per_gib: f64,
    donors_cpu_s: f64,
    receiver_cpu_s: f64,
    /// The largest of the donors.
    donor_rss_mib: f64,
    receiver_rss_mib: f64,
    /// What the receiver stored of what each of them gave.
    by_donor: BTreeMap<String, u64>,
}

/// All runs of one workload.
#[derive(Debug, Serialize)]
struct Series {
    workload: Workload,
    bytes: u64,
    files: u64,
    runs: Vec<Run>,
}

#[derive(Debug, Serialize)]
struct Report {
    machine: Machine,
    options: Options,
    series: Vec<Series>,
}

#[derive(Debug, Clone, Serialize)]
struct Options {
    workloads: Vec<Workload>,
    mtus: Vec<u16>,
    rounds: u32,
    /// Those without caps take part too.
    uncapped: bool,
    short: bool,
    feeder: bool,
    dir: PathBuf,
    json: Option<PathBuf>,
}

/// What the receiver says at the end.
#[derive(Debug, Deserialize)]
struct Said {
    by_donor: BTreeMap<String, u64>,
    published: PathBuf,
}

pub(super) fn run(root: &Path, options: &[String]) -> anyhow::Result<()> {
    let options = Options::parse(options)?;
    let mut site = Site::open(root, &options.dir, options.feeder)?;
    let mut report = Report { machine: Machine::here(), options: options.clone(), series: Vec::new() };
    println!("{}", report.machine);
    for workload in &options.workloads {
        let series = measure(&mut site, *workload, &options)?;
        println!("\n{}", series.table());
        report.series.push(series);
    }
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_string_pretty(&report)?)
            .with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Everybody once per round, each round beginning with another one.
fn measure(site: &mut Site, workload: Workload, options: &Options) -> anyhow::Result<Series> {
    let made = site.make(workload, options.short)?;
    let mut field = Donors::field(&options.mtus, options.uncapped);
    let mut runs = Vec::new();
    for round in 1..=options.rounds {
        for donors in &field {
            let run = donors.run(site, &made, round).with_context(|| donors.to_string())?;
            println!("  round {round} {run}");
            runs.push(run);
        }
        field.rotate_left(1);
    }
    site.unmake(&made)?;
    Ok(Series { workload, bytes: made.size.bytes, files: made.size.files, runs })
}

impl Donors {
    fn field(mtus: &[u16], uncapped: bool) -> Vec<Self> {
        let kinds = [(3, Some(50)), (1, Some(150)), (3, None), (1, None)];
        let kinds = kinds.into_iter().filter(|(_, cap)| uncapped || cap.is_some());
        let of =
            |mtu: u16| kinds.clone().map(move |(count, mib_per_s_each)| Self { count, mib_per_s_each, mtu });
        mtus.iter().copied().flat_map(of).collect()
    }

    /// The name that the peer program has for one of them.
    fn name(index: usize) -> String {
        if index == 0 { "donor".into() } else { format!("donor-{}", index + 1) }
    }

    fn run(&self, site: &mut Site, made: &Made, round: u32) -> anyhow::Result<Run> {
        let out = site.path("out");
        std::fs::create_dir(&out).with_context(|| out.display().to_string())?;
        let run = self.transfer(site, made, &out, round);
        std::fs::remove_dir_all(&out).with_context(|| out.display().to_string())?;
        run
    }

    fn transfer(&self, site: &mut Site, made: &Made, out: &Path, round: u32) -> anyhow::Result<Run> {
        let started = (0..self.count).map(|index| self.start(site, made, index));
        let donors = started.collect::<anyhow::Result<Vec<(Measured, Ready)>>>()?;
        site.warm()?;
        let addrs: Vec<&str> = donors.iter().map(|(_, ready)| ready.addr.as_str()).collect();
        let mut fetch = site.peer("fetch");
        fetch.args(["--identical", "--from", &addrs.join(","), "--mtu", &self.mtu.to_string()]);
        fetch.arg("--cert-dir").arg(site.certs()).arg("--to").arg(out);
        let receiver = Measured::start(&mut fetch, &site.path("receiver.log"), made.size.limit())?;
        let received = receiver.finish()?;
        let (mut donors_cpu_s, mut donor_rss_mib) = (0.0, 0.0_f64);
        for (process, ready) in donors {
            let used = process.stop()?;
            donors_cpu_s += (used.cpu_s - ready.prepare_cpu_seconds).max(0.0);
            donor_rss_mib = donor_rss_mib.max(used.rss_mib);
        }
        let said: Said = serde_json::from_str(&received.said)?;
        if round == 1 {
            site.compare(&made.dir, &said.published)?;
        }
        let mib_per_s = made.size.mib() / received.wall_s;
        let sum = self.mib_per_s_each.map(|each| f64::from(each) * self.count as f64);
        Ok(Run {
            donors: *self,
            round,
            wall_s: received.wall_s,
            mib_per_s,
            of_sum: sum.map(|sum| mib_per_s / sum),
            cpu_per_gib: (donors_cpu_s + received.cpu_s) / made.size.gib(),
            donors_cpu_s,
            receiver_cpu_s: received.cpu_s,
            donor_rss_mib,
            receiver_rss_mib: received.rss_mib,
            by_donor: said.by_donor,
        })
    }

    /// Starts one of them and waits until it has hashed everything. All serve the same directory.
    fn start(&self, site: &Site, made: &Made, index: usize) -> anyhow::Result<(Measured, Ready)> {
        let name = Self::name(index);
        let mut serve = site.peer("serve");
        serve.args(["--listen", "127.0.0.1:0", "--name", &name, "--mtu", &self.mtu.to_string()]);
        serve.arg("--dir").arg(&made.dir).arg("--cert-dir").arg(site.certs());
        if let Some(each) = self.mib_per_s_each {
            serve.args(["--rate", &(u64::from(each) << 20).to_string()]);
        }
        // The receiver has the same limit once all of them are ready.
        let limit = made.size.limit() * 3;
        let mut process = Measured::start(&mut serve, &site.path(&format!("{name}.log")), limit)?;
        let ready = serde_json::from_str(&process.line()?)?;
        Ok((process, ready))
    }
}

impl Series {
    /// As text, with pipes, so that it can stand in a document.
    fn table(&self) -> String {
        let mut text =
            format!("Workload {}: {} files, {} MiB\n\n", self.workload, self.files, self.bytes >> 20);
        text += "| donors, MTU | MiB/s min / median / max | of the sum | CPU-s/GiB min / median / max (donors + receiver) | peak MiB donor / receiver | least and most from one |\n";
        text += "|---|---:|---:|---:|---:|---:|\n";
        for donors in self.field() {
            if let Some(row) = self.row(donors) {
                writeln!(text, "| {donors} | {row} |").ok();
            }
        }
        text + &self.verdicts()
    }

    /// Who has runs, in the order of their first one.
    fn field(&self) -> Vec<Donors> {
        let mut field = Vec::new();
        for run in &self.runs {
            if !field.contains(&run.donors) {
                field.push(run.donors);
            }
        }
        field
    }

    fn runs(&self, donors: Donors) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(move |run| run.donors == donors)
    }

    fn row(&self, donors: Donors) -> Option<String> {
        let of = |value: fn(&Run) -> f64| Spread::of(self.runs(donors).map(value));
        let (speed, cpu) = (of(|run| run.mib_per_s)?, of(|run| run.cpu_per_gib)?);
        let (sent, received) = (of(|run| run.donors_cpu_s)?, of(|run| run.receiver_cpu_s)?);
        let (rss_donor, rss_receiver) = (of(|run| run.donor_rss_mib)?, of(|run| run.receiver_rss_mib)?);
        let shares = self.runs(donors).flat_map(|run| run.by_donor.values());
        let shares = Spread::of(shares.map(|bytes| *bytes as f64 / self.bytes as f64))?;
        let gib = self.bytes as f64 / f64::from(1 << 30);
        let of_sum = self.of_sum(donors).map_or_else(String::new, |of_sum| format!("{of_sum:.3}"));
        Some(format!(
            "{:.0} / **{:.0}** / {:.0} | {of_sum} | {:.2} / **{:.2}** / {:.2} ({:.2} + {:.2}) | {:.0} / {:.0} | {:.2}, {:.2}",
            speed.min,
            speed.median,
            speed.max,
            cpu.min,
            cpu.median,
            cpu.max,
            sent.median / gib,
            received.median / gib,
            rss_donor.max,
            rss_receiver.max,
            shares.min,
            shares.max,
        ))
    }

    /// The median.
    fn of_sum(&self, donors: Donors) -> Option<f64> {
        Spread::of(self.runs(donors).filter_map(|run| run.of_sum)).map(|spread| spread.median)
    }

    /// How the medians of three donors with caps stand to the goals.
    fn verdicts(&self) -> String {
        let is = |reached| if reached { "reached" } else { "missed" };
        let mut text = String::new();
        for donors in self.field().into_iter().filter(|donors| donors.count > 1) {
            let cpu = Spread::of(self.runs(donors).map(|run| run.cpu_per_gib));
            let (Some(of_sum), Some(Spread { median: cpu, .. })) = (self.of_sum(donors), cpu) else {
                continue;
            };
            let (fast, cheap) = (is(of_sum >= GOAL_OF_SUM), is(cpu <= GOAL_CPU_PER_GIB));
            write!(text, "{donors}: {of_sum:.3} of the sum, goal {GOAL_OF_SUM}: {fast}; ").ok();
            writeln!(text, "{cpu:.2} CPU-s/GiB, goal {GOAL_CPU_PER_GIB}: {cheap}").ok();
        }
        text
    }
}

impl fmt::Display for Donors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mib_per_s_each {
            Some(each) => write!(f, "{} x {each} MiB/s, {}", self.count, self.mtu),
            None => write!(f, "{} without a cap, {}", self.count, self.mtu),
        }
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { donors, wall_s, mib_per_s, cpu_per_gib, .. } = self;
        let name = donors.to_string();
        write!(f, "{name:<22} {wall_s:>6.2} s {mib_per_s:>6.1} MiB/s {cpu_per_gib:>5.2} CPU-s/GiB")
    }
}

impl Options {
    fn parse(args: &[String]) -> anyhow::Result<Self> {
        let mut options = Self {
            workloads: DEFAULT_WORKLOADS.to_vec(),
            mtus: DEFAULT_MTUS.to_vec(),
            rounds: DEFAULT_ROUNDS,
            uncapped: false,
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
                "--rounds" => options.rounds = value()?.parse().context("--rounds needs a number")?,
                "--uncapped" => options.uncapped = true,
                "--short" => options.short = true,
                "--feeder" => options.feeder = true,
                "--dir" => options.dir = value()?.into(),
                "--json" => options.json = Some(value()?.into()),
                unknown => bail!("bench sources: unknown option {unknown:?}"),
            }
        }
        ensure!(options.rounds > 0, "--rounds 0 measures nothing");
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(donors: Donors, round: u32, mib_per_s: f64) -> Run {
        Run {
            donors,
            round,
            wall_s: 2048.0 / mib_per_s,
            mib_per_s,
            of_sum: Some(mib_per_s / 150.0),
            cpu_per_gib: 2.0,
            donors_cpu_s: 3.0,
            receiver_cpu_s: 1.0,
            donor_rss_mib: 12.0,
            receiver_rss_mib: 30.0,
            by_donor: [("donor".into(), 1 << 30), ("donor-2".into(), 1 << 29), ("donor-3".into(), 1 << 29)]
                .into(),
        }
    }

    #[test]
    fn the_table_has_a_row_for_each_and_the_verdict() {
        let three = Donors::field(&[8972], false)[0];
        let runs = [146.0, 147.0, 140.0].into_iter().zip(1..).map(|(speed, round)| run(three, round, speed));
        let series = Series { workload: Workload::A, bytes: 2 << 30, files: 1, runs: runs.collect() };
        let table = series.table();
        let row = "| 3 x 50 MiB/s, 8972 | 140 / **146** / 147 | 0.973 | 2.00 / **2.00** / 2.00 (1.50 + 0.50) | 12 / 30 | 0.25, 0.50 |";
        assert!(table.contains(row), "{table}");
        assert!(
            table.ends_with("0.973 of the sum, goal 0.97: reached; 2.00 CPU-s/GiB, goal 2.35: reached\n"),
            "{table}"
        );
    }

    #[test]
    fn options_are_read_and_slips_refused() {
        let parse =
            |args: &[&str]| Options::parse(&args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>());
        let options = parse(&["--workload", "B", "--mtu", "1452", "--rounds", "7"]).unwrap();
        assert_eq!((options.workloads, options.mtus, options.rounds), (vec![Workload::B], vec![1452], 7));
        assert!(parse(&["--rounds", "0"]).is_err() && parse(&["--rate", "1"]).is_err());
    }
}
