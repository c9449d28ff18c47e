//! Promise 2: progress is never lost.

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
        "What was verified and stored is not fetched again, whatever happens to peers and plans, but for \
         what may be asked of a second source because the first is slow. Each end of the receiver's own \
         process costs at most what its store says that it writes down late, and each loss of power, in \
         each life since the last checkpoint, at most the bytes after which one is due, the windows of all \
         sources, and what was stored while the last ones ran. A disk whose bits flip is another matter."
    }

    fn check(&mut self, view: &View<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (id, _, books) in view.nodes_with_books() {
            let found = [
                (books.stored.lost, "bytes that were stored were fetched again"),
                (books.stored.beyond, "bytes more were fetched again than the end of a process may cost"),
            ];
            let found = found.iter().find(|(bytes, _)| *bytes > 0);
            if let Some((bytes, what)) = found.filter(|_| !view.rots(id)) {
                findings.push(Finding::at(id, format!("{bytes} {what}")));
            }
        }
        findings
    }
}
