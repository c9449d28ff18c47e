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
        "What was verified and stored is not fetched again, whatever happens to peers and plans. The end of \
         the receiver's own process may cost what no checkpoint had made durable, and nothing else. A disk \
         whose bits flip is another matter."
    }

    fn check(&mut self, view: &View<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (id, _, books) in view.nodes_with_books().filter(|(.., books)| books.stored.lost > 0) {
            if !rots(view, id) {
                let seen = format!("{} bytes that were stored were fetched again", books.stored.lost);
                findings.push(Finding::at(id, seen));
            }
        }
        findings
    }
}

/// Whether bits of the node's disk were flipped, as the trace tells.
fn rots(view: &View<'_>, node: &NodeId) -> bool {
    let flip = format!(" {node}: bit ");
    view.trace.count(|line| line.contains(&flip)) > 0
}
