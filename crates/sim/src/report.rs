//! A run as one HTML page that needs nothing else: who fed whom over time, the faults, the figures.

mod chart;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

use peerstream_types::NodeId;

use crate::fault::Timed;
use crate::flows::Flows;
use crate::scenario::{Done, Failure, Narrowed, RunOptions};
use chart::{Chart, Row};

/// Most receivers that get a row of their own; the rest are counted.
const ROWS_MAX: usize = 40;
/// Most faults that are listed, and most pairs of nodes; the rest are counted.
const LISTED_MAX: usize = 200;

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
    /// What came of it. Of one that failed, what there was until it did is shown.
    pub outcome: Result<&'a Done, &'a Failure>,
    /// What a run that failed still fails with, if that was looked for. It is a run of its own: the page says
    /// which faults it does without, and shows all else of the run itself.
    pub narrowed: Option<&'a Narrowed>,
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
        if let Err(failure) = self.outcome {
            let _ = write!(page, "<h2>It failed</h2><pre>{}</pre>", escape(&failure.what));
        }
        if let Some(flows) = self.flows() {
            page += &self.timeline(flows);
            page += &pairs(flows);
        }
        page += &self.faults();
        page += &self.narrowed.map(narrowed).unwrap_or_default();
        page
    }

    fn flows(&self) -> Option<&Flows> {
        self.outcome.map_or_else(|failure| failure.flows.as_ref(), |done| Some(&done.flows))
    }

    fn figures(&self) -> String {
        let options = self.options;
        let mut rows = vec![
            ("seed", options.seed.to_string()),
            ("network", options.network.to_string()),
            ("replicas", options.replicas.to_string()),
        ];
        if let Ok(Done { summary, .. }) = self.outcome {
            rows.extend([
                ("shards published", summary.published.to_string()),
                ("time until the last", format!("{:?}", summary.took)),
                ("plans", summary.plans.to_string()),
                ("faults that came", summary.faults.to_string()),
                ("faults that did something", summary.acted.to_string()),
                ("bytes needed", bytes(summary.bytes)),
                ("bytes sent", bytes(summary.sent)),
                ("bytes received for nothing", bytes(summary.wasted)),
            ]);
        }
        if let Err(Failure { flows: Some(flows), at, .. }) = self.outcome {
            rows.extend([
                ("time until it failed", at.map(|at| format!("{at:?}")).unwrap_or_default()),
                ("faults that came until then", self.came().count().to_string()),
                ("bytes sent until then", bytes(flows.totals().values().sum())),
            ]);
        }
        if let Some(bound) = self.bound {
            rows.push(("least time there could be", format!("{bound:?}")));
        }
        if let (Some(bound), Ok(done)) = (self.bound, self.outcome) {
            let over = done.summary.took.as_secs_f64() / bound.as_secs_f64().max(1e-9);
            rows.push(("time over that", format!("{over:.2}")));
        }
        let row = |(what, value)| format!("<tr><th>{what}<td class=n>{value}");
        format!("<table>{}</table>", rows.into_iter().map(row).collect::<String>())
    }

    fn timeline(&self, flows: &Flows) -> String {
        let (step, by_pair) = flows.by_pair();
        let sources: BTreeSet<&NodeId> = by_pair.keys().map(|(from, _)| from).collect();
        let colours: BTreeMap<&NodeId, &str> = sources.into_iter().zip(COLOURS.into_iter().cycle()).collect();
        let mut rows: BTreeMap<&NodeId, Row<'_>> = BTreeMap::new();
        for ((from, to), steps) in &by_pair {
            rows.entry(to).or_default().push((from.as_str(), colours[from], steps));
        }
        let left_out = rows.len().saturating_sub(ROWS_MAX);
        let rows: Vec<_> = rows.into_iter().take(ROWS_MAX).map(|(to, row)| (to.as_str(), row)).collect();
        let chart = Chart { step, rows, marks: self.came().map(|(_, timed)| mark(timed)).collect() };
        let mut html = String::from("<h2>Who fed whom</h2>");
        html += &chart.svg();
        if left_out > 0 {
            let _ = write!(html, "<p>and {left_out} more receivers</p>");
        }
        html
    }

    /// The faults that are not left out, with their numbers, as far as the run got.
    fn came(&self) -> impl Iterator<Item = (usize, &Timed)> {
        let came =
            |(place, timed): &(usize, &Timed)| !self.options.without.contains(place) && !self.is_late(timed);
        self.faults.iter().enumerate().filter(came)
    }

    /// Whether the run had failed before it could come.
    fn is_late(&self, timed: &Timed) -> bool {
        self.outcome.is_err_and(|failure| failure.at.is_some_and(|at| timed.at() > at))
    }

    fn faults(&self) -> String {
        if self.faults.is_empty() {
            return String::new();
        }
        let row = |(place, timed): (usize, &Timed)| {
            let note = match self.options.without.contains(&place) {
                true => " (left out)",
                false if self.is_late(timed) => " (it had failed before)",
                false => "",
            };
            let nodes: Vec<&str> = timed.fault.nodes().into_iter().map(NodeId::as_str).collect();
            let (kind, at) = (timed.fault.kind(), timed.at_ms);
            format!("<tr><td class=n>{place}<td class=n>{at} ms<td>{kind}{note}<td>{}", nodes.join(", "))
        };
        let rows: String = self.faults.iter().take(LISTED_MAX).enumerate().map(row).collect();
        let more = more(self.faults.len(), "faults");
        format!("<h2>Faults</h2><table><tr><th>number<th>at<th>what<th>nodes{rows}</table>{more}")
    }
}

/// The faults that it fails without, and how.
fn narrowed(narrowed: &Narrowed) -> String {
    let Narrowed { options, failure, runs } = narrowed;
    let without: Vec<String> = options.without.iter().map(usize::to_string).collect();
    let less = match without.is_empty() {
        true => "<p>No fault can be left out.".to_owned(),
        false => format!(
            "<p>Without the faults {} it fails, too:<pre>{}</pre>",
            without.join(", "),
            escape(&failure.what)
        ),
    };
    format!("<h2>With fewer faults</h2><p>All above is of the run itself; this took {runs} more.{less}")
}

fn pairs(flows: &Flows) -> String {
    let row = |((from, to), sent): ((NodeId, NodeId), u64)| {
        format!("<tr><td>{from}<td>{to}<td class=n>{}", bytes(sent))
    };
    let totals = flows.totals();
    let more = more(totals.len(), "pairs");
    let rows: String = totals.into_iter().take(LISTED_MAX).map(row).collect();
    format!("<h2>Bytes</h2><table><tr><th>from<th>to<th>sent{rows}</table>{more}")
}

/// How many are not listed, if any.
fn more(count: usize, what: &str) -> String {
    let left = count.saturating_sub(LISTED_MAX);
    if left == 0 { String::new() } else { format!("<p>and {left} more {what}</p>") }
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
