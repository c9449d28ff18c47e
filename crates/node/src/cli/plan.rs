//! `peerstream bootstrap` and `peerstream push`: start a plan and follow it to its end.

use std::collections::BTreeSet;

use super::Ended;
use super::args::{BootstrapArgs, Format, PushArgs, RunArgs};
use super::findings;
use super::output::{note, say, say_json};
use super::progress::Progress;
use super::target::{block_on, client};
use crate::admin::AdminClient;
use crate::admin::model::{PlanRequest, PlanView, ShardView};
use crate::failure::{Failure, Result};
use peerstream_types::{ByteCount, ByteRate};

pub(super) fn bootstrap(args: BootstrapArgs) -> Result<Ended> {
    let from = args.from.iter().map(ToString::to_string).collect();
    start(&PlanRequest::Bootstrap { what: args.what, from }, &args.run)
}

pub(super) fn push(args: PushArgs) -> Result<Ended> {
    start(&PlanRequest::Push { shard: args.shard, to: args.to.to_string() }, &args.run)
}

fn start(request: &PlanRequest, args: &RunArgs) -> Result<Ended> {
    let client = client(&args.target)?;
    block_on(async {
        let plan = client.start(request).await?;
        if args.detach {
            return match args.output.output {
                Format::Json => say_json(&plan),
                Format::Table => {
                    say(&format!("plan {} was started", plan.plan));
                    Ok(())
                }
            }
            .map(|()| Ended::Done);
        }
        match follow(&client, &plan.plan).await? {
            Some(ended) => report(&ended, args.output.output),
            None => {
                note(&detached(&client, &plan.plan));
                Ok(Ended::Detached)
            }
        }
    })
}

/// Follows a plan to its end; `None` if the person had enough of it before.
async fn follow(client: &AdminClient, id: &str) -> Result<Option<PlanView>> {
    let mut watch = client.watch(id).await?;
    let mut progress = Progress::start();
    let mut last = None;
    loop {
        tokio::select! {
            next = watch.next() => match next? {
                Some(plan) => last = Some(progress.show(plan)),
                None => break,
            },
            _ = tokio::signal::ctrl_c() => {
                progress.end();
                return Ok(None);
            }
        }
    }
    progress.end();
    let ended = last.filter(PlanView::is_ended);
    ended.map(Some).ok_or_else(|| {
        Failure::new(format!("the node stopped telling about plan {id} before its end"))
            .hint("`peerstream status` says how it stands; what was verified stays staged")
    })
}

fn detached(client: &AdminClient, id: &str) -> String {
    let socket = client.socket().display();
    format!(
        "detached: plan {id} goes on\nhint: `peerstream status --socket {socket}` shows it, \
         `peerstream abort {id} --socket {socket}` calls it off"
    )
}

fn report(plan: &PlanView, format: Format) -> Result<Ended> {
    match format {
        Format::Json => say_json(plan)?,
        Format::Table => {
            plan.shards.iter().for_each(|shard| say(&shard_line(shard)));
            plan.shards.iter().flat_map(findings::lines).for_each(|line| note(&format!("note: {line}")));
            let (time, rate) = (seconds(plan.elapsed_ms), ByteRate::per_sec(plan.bytes_per_sec));
            let result = if plan.is_completed() { "completed" } else { "not completed" };
            let (id, done) = (&plan.plan, ByteCount(plan.bytes_done));
            say(&format!("plan {id} {result}: {done} in {time}, {rate}"));
        }
    }
    if plan.is_completed() {
        return Ok(Ended::Done);
    }
    let outcomes = || plan.shards.iter().map(|shard| (shard, shard.outcome.as_ref()));
    for (shard, outcome) in outcomes().filter(|(_, outcome)| outcome.is_none_or(|o| o.kind != "published")) {
        let why = outcome.map_or("it has no outcome", |outcome| outcome.text.as_str());
        note(&format!("error: {} was not published: {why}", shard.shard));
    }
    let next: BTreeSet<_> = outcomes().filter_map(|(_, outcome)| outcome?.next.as_deref()).collect();
    next.iter().for_each(|next| note(&format!("hint: {next}")));
    Ok(Ended::NotDone)
}

fn shard_line(shard: &ShardView) -> String {
    let outcome = shard.outcome.as_ref().map_or("no outcome", |outcome| outcome.text.as_str());
    let (done, entries) = (ByteCount(shard.bytes_done), shard.entries_done);
    let mut line = format!("{}: {outcome} ({done}, {entries} entries", shard.shard);
    for (what, bytes) in [("held from before", shard.bytes_held), ("thrown away", shard.bytes_wasted)] {
        if bytes > 0 {
            line += &format!(", {} {what}", ByteCount(bytes));
        }
    }
    line + ")"
}

pub(super) fn seconds(ms: u64) -> String {
    match ms {
        0..60_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        _ => humantime::format_duration(std::time::Duration::from_secs(ms / 1000)).to_string(),
    }
}
