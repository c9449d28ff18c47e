//! One transfer by one contestant: fresh processes, empty output.

use std::fmt;
use std::path::PathBuf;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::contestant::{Contestant, Ready, Server, Tool, stage};
use super::measured::{Measured, Used};
use super::site::Site;
use super::workload::{Made, Workload};

/// What one transfer took.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Run {
    pub(super) contestant: Contestant,
    pub(super) round: u32,
    /// From the start of the receiver to its end.
    pub(super) wall_s: f64,
    pub(super) mib_per_s: f64,
    pub(super) files_per_s: f64,
    /// Processor seconds per GiB of both ends, without the sender's preparation.
    pub(super) cpu_per_gib: f64,
    pub(super) sender_cpu_s: f64,
    pub(super) receiver_cpu_s: f64,
    pub(super) sender_rss_mib: f64,
    pub(super) receiver_rss_mib: f64,
    /// Once per snapshot, before the receiver starts; not part of the figures above.
    pub(super) prepare_s: f64,
    pub(super) prepare_cpu_s: f64,
    /// What our receiver calls the transfer: without the start and the end of the process.
    pub(super) transfer_s: Option<f64>,
}

/// A run that did not end well.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Failure {
    workload: Workload,
    contestant: Contestant,
    round: u32,
    why: String,
}

/// What our receivers say at the end.
#[derive(Debug, Deserialize)]
struct Said {
    seconds: f64,
    published: Option<PathBuf>,
}

/// Transfers once. `compare` looks at the content of what came.
pub(super) fn run(
    site: &mut Site,
    made: &Made,
    contestant: &Contestant,
    sync: bool,
    compare: bool,
) -> anyhow::Result<Run> {
    let out = site.path("out");
    std::fs::create_dir(&out).with_context(|| out.display().to_string())?;
    let outcome = transfer(site, made, *contestant, sync, compare);
    std::fs::remove_dir_all(&out).with_context(|| out.display().to_string())?;
    outcome
}

fn transfer(
    site: &mut Site,
    made: &Made,
    contestant: Contestant,
    sync: bool,
    compare: bool,
) -> anyhow::Result<Run> {
    let out = site.path("out");
    let mut staged = stage(site, made, contestant, sync, &out)?;
    if sync {
        site.sync()?;
    }
    site.warm()?;
    let receiver = Measured::start(&mut staged.client, &site.path("receiver.log"), made.size.limit())?;
    let received = receiver.finish()?;
    let ready = staged.server.as_ref().map(|server| server.ready.clone()).unwrap_or_default();
    let sent = staged.server.map(|server| stop(server, contestant.tool)).transpose()?;
    let said: Option<Said> = match contestant.tool {
        Tool::Ours | Tool::Raw | Tool::RawFiles => Some(serde_json::from_str(&received.said)?),
        Tool::Rsync | Tool::Nginx | Tool::Cp => None,
    };
    if let (true, Some(output)) = (compare, staged.output) {
        let copy = said.as_ref().and_then(|said| said.published.clone()).unwrap_or(output);
        site.compare(&made.dir, &copy)?;
    }
    let Ready { prepare_seconds, prepare_cpu_seconds, .. } = ready;
    let (sent_cpu, sender_rss_mib) = sent.map_or((0.0, 0.0), |sent| (sent.cpu_s, sent.rss_mib));
    let sender_cpu_s = (sent_cpu - prepare_cpu_seconds).max(0.0);
    Ok(Run {
        contestant,
        round: 0,
        wall_s: received.wall_s,
        mib_per_s: made.size.mib() / received.wall_s,
        files_per_s: made.size.files as f64 / received.wall_s,
        cpu_per_gib: (sender_cpu_s + received.cpu_s) / made.size.gib(),
        sender_cpu_s,
        receiver_cpu_s: received.cpu_s,
        sender_rss_mib,
        receiver_rss_mib: received.rss_mib,
        prepare_s: prepare_seconds,
        prepare_cpu_s: prepare_cpu_seconds,
        transfer_s: said.map(|said| said.seconds),
    })
}

fn stop(server: Server, tool: Tool) -> anyhow::Result<Used> {
    if tool == Tool::Rsync {
        server.process.wait_for_children()?;
    }
    server.process.stop()
}

impl Run {
    pub(super) fn in_round(self, round: u32) -> Self {
        Self { round, ..self }
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wall_s, mib_per_s, cpu_per_gib, .. } = self;
        let name = self.contestant.to_string();
        write!(f, "{name:<14} {wall_s:>7.2} s {mib_per_s:>6.0} MiB/s {cpu_per_gib:>6.2} CPU-s/GiB")
    }
}

impl Failure {
    pub(super) fn new(
        workload: Workload,
        contestant: &Contestant,
        round: u32,
        error: &anyhow::Error,
    ) -> Self {
        Self { workload, contestant: *contestant, round, why: format!("{error:#}") }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { workload, contestant, round, why } = self;
        write!(f, "{workload}, {contestant}, round {round}: {why}")
    }
}
