//! A run as one HTML page that needs nothing else: who fed whom over time, the faults, the figures.

mod chart;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

use peerstream_types::NodeId;

use crate::fault::Timed;
use crate::scenario::{Done, RunOptions};
use chart::{Chart, Row};

/// Most receivers that get a row of their own; the rest are counted.
const ROWS_MAX: usize = 40;
/// Most faults that are listed.
const FAULTS_MAX: usize = 200;

/// Colours of sources, told apart on white; beyond them they repeat.
const COLOURS: [&str; 10] = [
    "#3366cc", "#dc7b00", "#109618", "#990099", "#0099a6", "#b82e2e", "#66aa00", "#dd4477", "#316395",
    "#8b6c42",
];

const STYLE: &str = "body{font:14px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;color:#222}\
table{border-collapse:collapse}td,th{padding:.15rem .8rem .15rem 0;text-align:left}\
td.n{text-align:right;font-variant-numeric:tabular-nums}code{background:#f3f3f3;padding:.1rem .3rem}\
svg{width:100%;height:auto}svg text{font:11px system-ui,sans-serif;fill:#444}";

/// What a page is made of.
#[derive(Debug)]
pub struct Report<'a> {
    /// The scenario's name.
    pub name: &'a str,
    /// What it shows.
    pub about: &'a str,
    /// The run.
    pub options: &'a RunOptions,
    /// All faults of the run.
    pub faults: &'a [Timed],
    /// What came of it.
    pub done: &'a Done,
    /// The least time that caps and links allow, if they limit anything.
    pub bound: Option<Duration>,
}

impl Report<'_> {
    /// The page.
    pub fn html(&self) -> String {
        let name = escape(self.name);
        let mut page = format!("<!doctype html><html lang=en><meta charset=utf-8><title>{name}</title>");
        // Writing to a string cannot fail.
        let _ = write!(page, "<style>{STYLE}</style><h1>{name}</h1><p>{}</p>", escape(self.about));
        page += &self.figures();
        page += &self.timeline();
        page += &self.pairs();
        page += &self.faults();
        page
    }

    fn figures(&self) -> String {
        let (options, summary) = (self.options, &self.done.summary);
        let mut rows = vec![
            ("seed", options.seed.to_string()),
            ("network", options.network.to_string()),
            ("replicas", options.replicas.to_string()),
            ("shards published", summary.published.to_string()),
            ("time until the last", format!("{:?}", summary.took)),
            ("plans", summary.plans.to_string()),
            ("bytes needed", bytes(summary.bytes)),
            ("bytes sent", bytes(summary.sent)),
        ];
        if let Some(bound) = self.bound {
            rows.push(("least time there could be", format!("{bound:?}")));
            let over = summary.took.as_secs_f64() / bound.as_secs_f64().max(1e-9);
            rows.push(("time over that", format!("{over:.2}")));
        }
        let row = |(what, value)| format!("<tr><th>{what}<td class=n>{value}");
        format!("<table>{}</table>", rows.into_iter().map(row).collect::<String>())
    }

    fn timeline(&self) -> String {
        let (step, by_pair) = self.done.flows.by_pair();
        let sources: BTreeSet<&NodeId> = by_pair.keys().map(|(from, _)| from).collect();
        let colours: BTreeMap<&NodeId, &str> = sources.into_iter().zip(COLOURS.into_iter().cycle()).collect();
        let mut rows: BTreeMap<&NodeId, Row<'_>> = BTreeMap::new();
        for ((from, to), steps) in &by_pair {
            rows.entry(to).or_default().push((from.as_str(), colours[from], steps));
        }
        let left_out = rows.len().saturating_sub(ROWS_MAX);
        let rows: Vec<_> = rows.into_iter().take(ROWS_MAX).map(|(to, row)| (to.as_str(), row)).collect();
        let chart = Chart { step, rows, marks: self.faults.iter().map(mark).collect() };
        let mut html = String::from("<h2>Who fed whom</h2>");
        html += &chart.svg();
        if left_out > 0 {
            let _ = write!(html, "<p>and {left_out} more receivers</p>");
        }
        html
    }

    fn pairs(&self) -> String {
        let row = |((from, to), sent): ((NodeId, NodeId), u64)| {
            format!("<tr><td>{from}<td>{to}<td class=n>{}", bytes(sent))
        };
        let rows: String = self.done.flows.totals().into_iter().take(FAULTS_MAX).map(row).collect();
        format!("<h2>Bytes</h2><table><tr><th>from<th>to<th>sent{rows}</table>")
    }

    fn faults(&self) -> String {
        if self.faults.is_empty() {
            return String::new();
        }
        let row = |(place, timed): (usize, &Timed)| {
            let left_out = if self.options.without.contains(&place) { " (left out)" } else { "" };
            let nodes: Vec<&str> = timed.fault.nodes().into_iter().map(NodeId::as_str).collect();
            let (kind, at) = (timed.fault.kind(), timed.at_ms);
            format!("<tr><td class=n>{place}<td class=n>{at} ms<td>{kind}{left_out}<td>{}", nodes.join(", "))
        };
        let rows: String = self.faults.iter().take(FAULTS_MAX).enumerate().map(row).collect();
        format!("<h2>Faults</h2><table><tr><th>number<th>at<th>what<th>nodes{rows}</table>")
    }
}

fn mark(timed: &Timed) -> (Duration, String) {
    (timed.at(), timed.to_string())
}

/// Bytes as people read them.
fn bytes(count: u64) -> String {
    match count {
        0..0x2800 => format!("{count} B"),
        0x2800..0xa0_0000 => format!("{:.1} KiB", count as f64 / 1024.0),
        _ => format!("{:.1} MiB", count as f64 / f64::from(1 << 20)),
    }
}

/// Text as HTML.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
