//! Promise 2: progress is never lost.

use peerstream_types::NodeId;

use super::{Finding, Invariant};
use crate::watch::View;

/// See [`Invariant::statement`].
#[derive(Debug, Clone, Copy)]
pub struct ProgressKept;

impl Invariant for ProgressKept {
    fn name(&self) -> &'static str {
        "progress kept"
    }

    fn statement(&self) -> &'static str {
        "What was verified and stored is not fetched again, whatever happens to peers and plans. A source \
         that is lost may cost the window in flight. The end of the receiver's own process may cost what no \
         checkpoint had made durable, and nothing else. A disk whose bits flip is another matter."
    }

    fn check(&mut self, view: &View<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (id, node, books) in view.nodes_with_books().filter(|(.., books)| books.stored.lost > 0) {
            let lost = books.stored.lost;
            let allowed = sources_lost(view, id).saturating_mul(node.config.recovery.window.0);
            if lost > allowed && !rots(view, id) {
                let seen = format!("{lost} bytes were fetched again, at most {allowed} were in flight");
                findings.push(Finding::at(id, seen));
            }
        }
        findings
    }
}

/// Whether bits of the node's disk were flipped, as the trace tells.
fn rots(view: &View<'_>, node: &NodeId) -> bool {
    let flip = format!(" {node}: bit ");
    view.trace.text().lines().any(|line| line.contains(&flip))
}

/// How many sources the node lost under a job that went on, as the trace tells.
fn sources_lost(view: &View<'_>, node: &NodeId) -> u64 {
    let lost = format!(" {node}: SourceLost");
    let text = view.trace.text();
    text.lines().filter(|line| line.contains(&lost) && !line.contains("job ended")).count() as u64
}
