//! What runs or waits, shard by shard: what the level asks for, who was heard and agrees, what is waited for.

use comfy_table::Table;
use comfy_table::presets::NOTHING;

use super::bytes_of;
use crate::admin::model::{PlanView, ReplicaView, ShardView, StandingView};
use crate::cli::plan::seconds;

/// Longest part of a digest that is shown: enough to tell those of one shard apart.
const DIGEST_LEN_MAX: usize = 19;

/// A shard that is received and has not ended, with its replicas.
pub(super) fn recovery(plan: &PlanView, shard: &ShardView) -> Option<String> {
    let standing = shard.standing.as_ref().filter(|_| shard.outcome.is_none())?;
    let mut text = format!("\n{} of plan {}: {}\n", shard.shard, plan.plan, shard.stage);
    text += &format!("  {}\n", level(standing));
    if let Some(what) = &shard.waiting {
        text +=
            &format!("  waits for {}{}{}\n", plain(what), since(shard.waiting_ms), again(shard.retry_in_ms));
    }
    for gap in &standing.missing {
        text += &format!("  could not be had: {} from {}: {}\n", plain(&gap.key), gap.peer, plain(&gap.why));
    }
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["  replica", "state", "manifest", "gave"]);
    table.add_rows(standing.replicas.iter().map(|one| replica(shard, one)));
    Some(format!("{text}{}\n", table.trim_fmt()))
}

fn level(standing: &StandingView) -> String {
    let StandingView { level, required, heard, agreed, own_vote, met, .. } = standing;
    let Some(level) = level else { return "the word of one source is taken".to_owned() };
    let is = match (met, agreed < heard) {
        (false, _) => "is not met",
        (true, false) => "is met",
        (true, true) => "has enough replicas, which differ",
    };
    let own = if *own_vote { ", and this node counts itself" } else { "" };
    format!("level {level} {is}: needs {required}, heard {heard}, agreeing {agreed}{own}")
}

fn since(ms: Option<u64>) -> String {
    ms.map(|ms| format!(", for {}", seconds(ms))).unwrap_or_default()
}

fn again(ms: Option<u64>) -> String {
    ms.map(|ms| format!("; again in {}", seconds(ms))).unwrap_or_default()
}

fn replica(shard: &ShardView, replica: &ReplicaView) -> [String; 4] {
    let why = replica.why.as_ref().map(|why| format!(": {}", plain(why))).unwrap_or_default();
    let lists = if replica.lists { ", lists" } else { "" };
    let state = replica.state.replace('-', " ");
    let state = format!("{state}{lists}{why}{}{}", since(replica.asked_ms), again(replica.retry_in_ms));
    let manifest = match (&replica.manifest, replica.agrees) {
        (Some(digest), Some(true)) => format!("{}, as most", short(digest)),
        (Some(digest), _) => format!("{}, another", short(digest)),
        (None, _) => "-".to_owned(),
    };
    let gave = shard.sources.iter().find(|source| source.peer == replica.peer);
    let gave = gave.map_or_else(|| "-".to_owned(), |source| bytes_of(source.bytes));
    [format!("  {}", replica.peer), state, manifest, gave]
}

fn short(digest: &str) -> String {
    digest.chars().take(DIGEST_LEN_MAX).collect()
}

/// Without what would move the cursor: a peer may have said it.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::model::BadView;

    fn waiting() -> (PlanView, ShardView) {
        let text = r#"{"shard": "logs@1/0", "direction": "receive", "stage": "opening", "peer": null,
            "sources": [{"peer": "store-1", "in_use": true, "bytes": 2048}],
            "standing": {"level": "majority", "required": 2, "heard": 1, "agreed": 1, "own_vote": false,
                "met": false, "replicas": [
                {"peer": "store-1", "state": "offered", "agrees": true,
                 "manifest": "blake3:0123456789abcdef0123456789abcdef"},
                {"peer": "store-2", "state": "failed", "why": "no \u001b[2Jroute", "retry_in_ms": 3200},
                {"peer": "store-3", "state": "asked", "asked_ms": 90000}]},
            "waiting": "level majority: 1 of 2 replicas", "waiting_ms": 12300, "retry_in_ms": 3200,
            "bytes_done": 0, "entries_done": 0, "bytes_held": 0, "bytes_wasted": 0}"#;
        let shard: ShardView = serde_json::from_str(text).unwrap();
        let plan = r#"{"plan": "01A", "operation": "bootstrap", "elapsed_ms": 12300, "bytes_done": 0,
            "bytes_per_sec": 0, "shards": []}"#;
        (serde_json::from_str(plan).unwrap(), shard)
    }

    /// What an operator has to know at night: what is waited for, since when, and because of whom.
    #[test]
    fn a_level_that_is_not_met_is_told_with_its_replicas() {
        let (plan, shard) = waiting();
        let text = recovery(&plan, &shard).unwrap();
        let lines: Vec<&str> = text.trim().lines().map(str::trim).collect();
        assert_eq!(lines[0], "logs@1/0 of plan 01A: opening");
        assert_eq!(lines[1], "level majority is not met: needs 2, heard 1, agreeing 1");
        assert_eq!(lines[2], "waits for level majority: 1 of 2 replicas, for 12.3 s; again in 3.2 s");
        assert!(lines[4].starts_with("store-1") && lines[4].contains("offered"), "{text}");
        assert!(
            lines[4].contains("blake3:0123456789ab, as most") && lines[4].ends_with("2.00 KiB"),
            "{text}"
        );
        assert!(lines[5].contains("failed: no  [2Jroute; again in 3.2 s"), "{text}");
        assert!(lines[6].contains("asked, for 1m 30s"), "{text}");
    }

    /// Replicas that differ are not replicas that are dead: what they differ in is named.
    #[test]
    fn replicas_that_differ_are_told_from_those_that_fail() {
        let (plan, mut shard) = waiting();
        let standing = shard.standing.as_mut().unwrap();
        (standing.met, standing.heard) = (true, 2);
        let why = "the replicas disagree: store-1 against store-2".to_owned();
        standing.missing = vec![BadView { key: "a.sst".into(), chunk: None, peer: "store-1".into(), why }];
        let text = recovery(&plan, &shard).unwrap();
        let differ = "level majority has enough replicas, which differ: needs 2, heard 2, agreeing 1";
        assert!(text.contains(differ), "{text}");
        let named = "could not be had: a.sst from store-1: the replicas disagree: store-1 against store-2";
        assert!(text.contains(named), "{text}");
    }

    #[test]
    fn what_has_ended_or_asks_nobody_has_no_replicas_to_show() {
        let (plan, shard) = waiting();
        assert_eq!(recovery(&plan, &ShardView { standing: None, ..shard.clone() }), None);
        let mut one = shard;
        if let Some(standing) = &mut one.standing {
            standing.level = None;
        }
        assert!(recovery(&plan, &one).unwrap().contains("the word of one source is taken"));
    }
}
