//! `peerstream status`: what a node holds, whom it talks to, how its plans stand and what they wait for.

mod recoveries;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use peerstream_types::{ByteCount, ByteRate};

use super::Ended;
use super::args::{Format, StatusArgs};
use super::findings;
use super::output::{say, say_json};
use super::plan::seconds;
use super::target::{block_on, client};
use crate::admin::model::{
    BlamedView, CheckpointView, DatasetView, NodeView, PlanView, ResultView, ShardView, SourceView,
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
    if let Some(fault) = &view.placement_fault {
        text += &format!("the placement file is not in force, the last good one is: {fault}\n");
    }
    let datasets = view.datasets.iter().map(dataset).collect();
    section(&mut text, ["dataset", "shards", "held as", "published"], datasets);
    let checkpoints = view.datasets.iter().flat_map(|dataset| dataset.checkpoints.iter()).map(checkpoint);
    section(&mut text, ["checkpoint", "of", "age", "used by"], checkpoints.collect());
    let peers = view.peers.iter().map(|peer| {
        [peer.node.clone(), peer.addr.to_string(), peer.incarnation.to_string(), peer.connections.to_string()]
    });
    section(&mut text, ["peer", "address", "boot", "connections"], peers.collect());
    section(
        &mut text,
        ["bad source", "for", "points", "asked last for"],
        view.blamed.iter().map(blamed).collect(),
    );
    let traffic = view.traffic.iter().map(|(class, bytes)| {
        [class.clone(), bytes_of(bytes.sent), bytes_of(bytes.received), bytes_of(bytes.read)]
    });
    section(&mut text, ["traffic", "sent", "asked for", "read"], traffic.collect());
    let shards = || view.plans.iter().flat_map(|plan| plan.shards.iter().map(move |shard| (plan, shard)));
    let plans = shards().map(|(plan, shard)| row(plan, shard));
    section(&mut text, ["plan", "shard", "moved", "rate", "state"], plans.collect());
    let sources = shards().flat_map(|(plan, shard)| shard.sources.iter().map(|one| source(plan, shard, one)));
    section(&mut text, ["plan", "shard", "source", "gave", "now"], sources.collect());
    text.extend(shards().filter_map(|(plan, shard)| recoveries::recovery(plan, shard)));
    let found: Vec<String> = shards().flat_map(|(_, shard)| findings::lines(shard)).collect();
    if !found.is_empty() {
        text += &format!("\n{}\n", found.join("\n"));
    }
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

fn blamed(view: &BlamedView) -> [String; 4] {
    let offences = view.offences.iter().map(|(what, count)| format!("{what} {count} times"));
    let avoided = view.avoided_ms.map_or_else(|| "-".to_owned(), seconds);
    [view.node.clone(), offences.collect::<Vec<_>>().join(", "), view.points.to_string(), avoided]
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

#[cfg(test)]
mod tests {
    use super::*;

    fn view(placement_fault: Option<&str>) -> NodeView {
        let text = r#"{"node": "store-9", "cluster": "demo", "version": "1", "incarnation": 3,
            "listen": "[::1]:7400", "ready": true, "uptime_ms": 1000, "datasets": [], "peers": [], "blamed": [{"node": "liar", "reason": "lied", "points": 105,
            "offences": {"failed": 1, "lied": 1}, "avoided_ms": 171000}],
            "traffic": {}, "plans": [{"plan": "01A", "operation": "bootstrap", "result": "failed",
            "elapsed_ms": 9, "bytes_done": 0, "bytes_per_sec": 0, "shards": [{"shard": "logs@1/0",
            "direction": "receive", "stage": "done", "bytes_done": 0, "entries_done": 0, "bytes_held": 0,
            "bytes_wasted": 0, "alone": {"count": 1, "keys": ["a"]}, "outcome": {"kind": "failed",
            "text": "failed: no source: all its replicas are initializing, each waits for the others: a, b",
            "bad": []}}]}]}"#;
        let view: NodeView = serde_json::from_str(text).unwrap();
        NodeView { placement_fault: placement_fault.map(str::to_owned), ..view }
    }

    /// F-23: that all replicas wait for each other is said where an operator looks first.
    #[test]
    fn replicas_that_wait_for_each_other_are_shown() {
        let text = tables(&view(None));
        assert!(
            text.contains("all its replicas are initializing, each waits for the others: a, b"),
            "{text}"
        );
        assert!(text.contains("logs@1/0: 1 entry was reported by one replica alone"), "{text}");
        assert!(!text.contains("placement"), "{text}");
    }

    /// D6, D14: so is who gave nothing good, and for how long it is asked after the others.
    #[test]
    fn bad_sources_are_shown() {
        let text = tables(&view(None));
        let told = text.lines().find(|line| line.trim_start().starts_with("liar")).unwrap();
        assert!(told.contains("failed 1 times, lied 1 times") && told.contains("105"), "{text}");
        assert!(told.trim_end().ends_with(&seconds(171_000)), "{text}");
    }

    #[test]
    fn a_placement_that_is_not_in_force_is_shown() {
        let text = tables(&view(Some("placement.toml: line 3: no such node")));
        assert!(text.contains("not in force, the last good one is: placement.toml: line 3"), "{text}");
    }
}
