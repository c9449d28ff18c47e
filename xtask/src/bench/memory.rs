//! `cargo xtask bench memory`: the peak memory of each end, held against the goals.
//!
//! On a disk rather than in memory, because 16 GiB have to be somewhere twice. Content does not matter
//! here, so the large file is one of holes; the copy is written in full.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde::Serialize;

use super::contestant::{Contestant, Server, Tool, receiver, start_peer};
use super::measured::Measured;
use super::site::Site;
use super::workload::{Made, Size, Workload};

/// MTU unless told otherwise.
const DEFAULT_MTU: u16 = 1452;

/// A transfer with a goal for its memory.
struct Case {
    name: &'static str,
    workload: Workload,
    make: &'static [&'static str],
    /// Sessions at once, each with the whole workload.
    sessions: u32,
    /// Most that either end may ever hold, in MiB.
    limit_mib: f64,
}

const CASES: &[Case] = &[
    Case { name: "A-2GiB", workload: Workload::A, make: &["--sparse"], sessions: 1, limit_mib: 64.0 },
    Case {
        name: "A-16GiB",
        workload: Workload::A,
        make: &["--sparse", "--mib", "16384"],
        sessions: 1,
        limit_mib: 64.0,
    },
    Case { name: "D", workload: Workload::D, make: &[], sessions: 1, limit_mib: 64.0 },
    Case { name: "B-8-sessions", workload: Workload::B, make: &[], sessions: 8, limit_mib: 128.0 },
];

/// Peak memory of one case.
#[derive(Debug, Serialize)]
struct Peak {
    case: &'static str,
    bytes: u64,
    files: u64,
    seconds: f64,
    sender_mib: f64,
    receiver_mib: f64,
    limit_mib: f64,
}

struct Options {
    cases: Vec<&'static Case>,
    dir: PathBuf,
    mtu: u16,
    json: Option<PathBuf>,
}

pub(super) fn run(root: &Path, options: &[String]) -> anyhow::Result<()> {
    let options = Options::parse(root, options)?;
    let mut peaks = Vec::new();
    let site = Site::open(root, &options.dir, false)?;
    for case in &options.cases {
        let peak = measure(&site, case, options.mtu).with_context(|| case.name)?;
        let Peak { seconds, sender_mib, receiver_mib, limit_mib, .. } = &peak;
        println!(
            "{:<14} sender {sender_mib:>6.1} MiB, receiver {receiver_mib:>6.1} MiB, goal {limit_mib} MiB, {seconds:.1} s",
            case.name
        );
        peaks.push(peak);
    }
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_string_pretty(&peaks)?)?;
    }
    let over = peaks.iter().filter(|peak| peak.sender_mib.max(peak.receiver_mib) >= peak.limit_mib).count();
    ensure!(over == 0, "{over} of {} miss their goal", peaks.len());
    Ok(())
}

fn measure(site: &Site, case: &Case, mtu: u16) -> anyhow::Result<Peak> {
    let made = site.make_with(case.workload, case.make)?;
    let out = site.path("out");
    let peak = transfer(site, case, &made, &out, mtu);
    std::fs::remove_dir_all(&out).with_context(|| out.display().to_string())?;
    site.unmake(&made)?;
    peak
}

fn transfer(site: &Site, case: &Case, made: &Made, out: &Path, mtu: u16) -> anyhow::Result<Peak> {
    std::fs::create_dir(out).with_context(|| out.display().to_string())?;
    let ours = Contestant { tool: Tool::Ours, mtu: Some(mtu) };
    let shards = case.sessions.to_string();
    let size = Size {
        files: made.size.files * u64::from(case.sessions),
        bytes: made.size.bytes * u64::from(case.sessions),
    };
    let mut serve = site.peer("serve");
    serve.args(["--shards", &shards, "--dir"]).arg(&made.dir);
    let server: Server = start_peer(site, serve, ours.mtu, size.limit())?;
    let mut fetch = receiver(site, "fetch", &server, ours.mtu);
    fetch.args(["--sync", "--shards", &shards, "--to"]).arg(out);
    let received = Measured::start(&mut fetch, &site.path("receiver.log"), size.limit())?.finish()?;
    let sent = server.process.stop()?;
    Ok(Peak {
        case: case.name,
        bytes: size.bytes,
        files: size.files,
        seconds: received.wall_s,
        sender_mib: sent.rss_mib,
        receiver_mib: received.rss_mib,
        limit_mib: case.limit_mib,
    })
}

impl Options {
    fn parse(root: &Path, args: &[String]) -> anyhow::Result<Self> {
        let all = CASES.iter().collect();
        let mut options = Self { cases: all, dir: root.join("target"), mtu: DEFAULT_MTU, json: None };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().with_context(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--case" => options.cases = value()?.split(',').map(case).collect::<anyhow::Result<_>>()?,
                "--dir" => options.dir = value()?.into(),
                "--mtu" => options.mtu = value()?.parse().context("--mtu needs a number")?,
                "--json" => options.json = Some(value()?.into()),
                unknown => bail!("bench memory: unknown option {unknown:?}"),
            }
        }
        Ok(options)
    }
}

fn case(name: &str) -> anyhow::Result<&'static Case> {
    let known = || CASES.iter().map(|case| case.name).collect::<Vec<_>>().join(", ");
    CASES.iter().find(|case| case.name == name).with_context(|| format!("{name:?} is none of {}", known()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_chosen_by_name() {
        let parse = |args: &[&str]| {
            let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
            Options::parse(Path::new("/r"), &args)
        };
        let options = parse(&["--case", "D,B-8-sessions"]).unwrap();
        assert_eq!(options.cases.iter().map(|case| case.sessions).collect::<Vec<_>>(), [1, 8]);
        assert_eq!(parse(&[]).unwrap().cases.len(), CASES.len());
        assert!(parse(&["--case", "E"]).is_err());
    }
}
