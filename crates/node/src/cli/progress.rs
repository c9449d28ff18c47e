//! Shows how a plan moves: a bar on a terminal, a line now and then elsewhere.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use peerstream_types::{ByteCount, ByteRate};
use tokio::time::Instant;

use super::output::note;
use super::plan::seconds;
use crate::admin::model::{PlanView, ShardView};

/// How often a line is written while nothing but the numbers change.
const LINE_INTERVAL: Duration = Duration::from_secs(5);
/// What every shard waits for in its stage; only other reasons are news.
const OBVIOUS: [&str; 4] = ["an offer", "data", "the store to seal", "the store to publish"];
const BAR: &str = "{bar:24} {wide_msg}";
const NO_TOTAL: &str = "{spinner} {wide_msg}";

/// Shows the states of one plan.
#[derive(Debug)]
pub(super) enum Progress {
    Bar { bar: ProgressBar, total: Option<u64> },
    Lines { last: String, at: Option<Instant> },
}

impl Progress {
    pub(super) fn start() -> Self {
        if !io::stderr().is_terminal() {
            return Self::Lines { last: String::new(), at: None };
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_style(style(NO_TOTAL));
        Self::Bar { bar, total: None }
    }

    /// Shows a state and hands it back.
    pub(super) fn show(&mut self, plan: PlanView) -> PlanView {
        match self {
            Self::Bar { bar, total } => {
                if *total != plan.bytes_total {
                    bar.set_style(style(if plan.bytes_total.is_some() { BAR } else { NO_TOTAL }));
                    bar.set_length(plan.bytes_total.unwrap_or_default());
                    *total = plan.bytes_total;
                }
                bar.set_position(plan.bytes_done);
                bar.set_message(format!("{}{}", amount(&plan), activity(&plan)));
            }
            Self::Lines { last, at } => {
                let now = activity(&plan);
                let due = at.is_none_or(|at| at.elapsed() >= LINE_INTERVAL);
                if *last != now || due {
                    note(&format!("{}{now}", amount(&plan)));
                    (*last, *at) = (now, Some(Instant::now()));
                }
            }
        }
        plan
    }

    pub(super) fn end(&self) {
        match self {
            Self::Bar { bar, .. } => bar.finish_and_clear(),
            Self::Lines { .. } => {}
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates are constants that a test reads")
}

/// `120 MiB of 300 MiB, 210 MiB/s, 0.8 s left, `; nothing while the total is not known.
fn amount(plan: &PlanView) -> String {
    let Some(total) = plan.bytes_total else { return String::new() };
    let mut text = format!("{} of {}, ", ByteCount(plan.bytes_done), ByteCount(total));
    if plan.bytes_per_sec > 0 && plan.bytes_done < total {
        text += &format!("{}, ", ByteRate::per_sec(plan.bytes_per_sec));
        text += &plan.eta_ms.map(|ms| format!("{} left, ", seconds(ms))).unwrap_or_default();
    }
    text
}

/// What the plan is doing: its shard, or how many of its shards have ended.
fn activity(plan: &PlanView) -> String {
    match plan.shards.as_slice() {
        [one] => format!("{} {}", one.shard, doing(one)),
        shards => {
            let ended = shards.iter().filter(|shard| shard.outcome.is_some()).count();
            let moving = shards.iter().find(|shard| shard.stage != "queued" && shard.outcome.is_none());
            let moving = moving.map(|shard| format!(", {} {}", shard.shard, doing(shard)));
            format!("{ended} of {} shards{}", shards.len(), moving.unwrap_or_default())
        }
    }
}

fn doing(shard: &ShardView) -> String {
    if let Some(outcome) = &shard.outcome {
        return outcome.kind.clone();
    }
    let with = match (&shard.peer, shard.direction.as_str()) {
        (Some(peer), "send") => format!(" to {peer}"),
        (Some(peer), _) => match shard.sources.iter().filter(|source| source.in_use).count() {
            0 | 1 => format!(" from {peer}"),
            sources => format!(" from {sources} peers"),
        },
        (None, _) => String::new(),
    };
    let waiting = shard.waiting.as_ref().filter(|what| !OBVIOUS.contains(&what.as_str()));
    let waiting = waiting.map(|what| format!(", waiting for {what}"));
    format!("{}{with}{}", shard.stage, waiting.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::model::SourceView;

    /// A shard as a node of an earlier version says it, too: without its sources.
    #[test]
    fn several_sources_are_counted() {
        let text = r#"{"shard": "logs@1/0", "direction": "receive", "stage": "streaming", "peer": "a",
            "bytes_done": 1, "entries_done": 0, "bytes_held": 0, "bytes_wasted": 0}"#;
        let mut shard: ShardView = serde_json::from_str(text).unwrap();
        assert_eq!(doing(&shard), "streaming from a");
        let source = |peer: &str, in_use| SourceView { peer: peer.into(), in_use, bytes: 1, bad_chunks: 0 };
        shard.sources = vec![source("a", true), source("b", true), source("c", false)];
        assert_eq!(doing(&shard), "streaming from 2 peers");
    }

    #[test]
    fn the_templates_can_be_read() {
        for template in [BAR, NO_TOTAL] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
