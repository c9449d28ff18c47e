//! `peerstream status`: what a node holds, whom it talks to, how its plans stand.

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use peerstream_types::{ByteCount, ByteRate};

use super::Ended;
use super::args::{Format, StatusArgs};
use super::output::{say, say_json};
use super::plan::seconds;
use super::target::{block_on, client};
use crate::admin::model::{
    CheckpointView, DatasetView, NodeView, PlanView, ResultView, ShardView, SourceView,
};
use crate::failure::Result;

pub(super) fn run(args: &StatusArgs) -> Result<Ended> {
    let client = client(&args.target)?;
    let view = block_on(async { Ok(client.status().await?) })?;
    match args.output.output {
        Format::Json => say_json(&view)?,
        Format::Table => say(&tables(&view)),
    }
    Ok(Ended::Done)
}

fn tables(view: &NodeView) -> String {
    let state = if view.ready { "ready" } else { "draining" };
    let mut text = format!(
        "{}.{}, {state}, listening on {}, up {}, version {}\n",
        view.node,
        view.cluster,
        view.listen,
        seconds(view.uptime_ms),
        view.version
    );
    let datasets = view.datasets.iter().map(dataset).collect();
    section(&mut text, ["dataset", "shards", "held as", "published"], datasets);
    let checkpoints = view.datasets.iter().flat_map(|dataset| dataset.checkpoints.iter()).map(checkpoint);
    section(&mut text, ["checkpoint", "of", "age", "used by"], checkpoints.collect());
    let peers = view.peers.iter().map(|peer| {
        [peer.node.clone(), peer.addr.to_string(), peer.incarnation.to_string(), peer.connections.to_string()]
    });
    section(&mut text, ["peer", "address", "boot", "connections"], peers.collect());
    let traffic = view.traffic.iter().map(|(class, bytes)| {
        [class.clone(), bytes_of(bytes.sent), bytes_of(bytes.received), bytes_of(bytes.read)]
    });
    section(&mut text, ["traffic", "sent", "asked for", "read"], traffic.collect());
    let plans = view.plans.iter().flat_map(|plan| plan.shards.iter().map(move |shard| row(plan, shard)));
    section(&mut text, ["plan", "shard", "moved", "rate", "state"], plans.collect());
    let shards = view.plans.iter().flat_map(|plan| plan.shards.iter().map(move |shard| (plan, shard)));
    let sources = shards.flat_map(|(plan, shard)| shard.sources.iter().map(|one| source(plan, shard, one)));
    section(&mut text, ["plan", "shard", "source", "gave", "now"], sources.collect());
    text
}

fn section<const COLUMNS: usize>(text: &mut String, head: [&str; COLUMNS], rows: Vec<[String; COLUMNS]>) {
    if rows.is_empty() {
        return;
    }
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(head);
    table.add_rows(rows);
    *text += &format!("\n{}\n", table.trim_fmt());
}

fn dataset(view: &DatasetView) -> [String; 4] {
    let (held, published) = match &view.served {
        Some(path) => (format!("served from {}, {}", path.display(), view.snapshot), "-".to_owned()),
        None => {
            let bytes = view.published.iter().map(|shard| shard.bytes).sum();
            (
                "received".to_owned(),
                format!("{} of {}, {}", view.published.len(), view.shards, ByteCount(bytes)),
            )
        }
    };
    [format!("{}@{}", view.name, view.version), view.shards.to_string(), held, published]
}

fn checkpoint(view: &CheckpointView) -> [String; 4] {
    let age = if view.stale { format!("{}, stale", seconds(view.age_ms)) } else { seconds(view.age_ms) };
    [view.number.to_string(), view.shard.clone(), age, view.leases.to_string()]
}

fn row(plan: &PlanView, shard: &ShardView) -> [String; 5] {
    let total = shard.bytes_total.map(|total| format!(" of {}", ByteCount(total)));
    let moved = format!("{}{}", ByteCount(shard.bytes_done), total.unwrap_or_default());
    let with = shard.peer.as_ref().map(|peer| format!(" ({} {peer})", shard.direction));
    let state = match &shard.outcome {
        Some(outcome) => outcome.text.clone(),
        None => format!("{}{}", shard.stage, with.unwrap_or_default()),
    };
    let rate = match plan.result {
        None | Some(ResultView::Completed) => ByteRate::per_sec(plan.bytes_per_sec).to_string(),
        Some(ResultView::Failed | ResultView::Aborted) => "-".to_owned(),
    };
    [plan.plan.clone(), shard.shard.clone(), moved, rate, state]
}

fn source(plan: &PlanView, shard: &ShardView, source: &SourceView) -> [String; 5] {
    let now = if source.in_use { "in use" } else { "-" };
    let now = match source.bad_chunks {
        0 => now.to_owned(),
        bad => format!("{now}, {bad} bad chunks"),
    };
    [plan.plan.clone(), shard.shard.clone(), source.peer.clone(), bytes_of(source.bytes), now]
}

fn bytes_of(bytes: u64) -> String {
    ByteCount(bytes).to_string()
}
