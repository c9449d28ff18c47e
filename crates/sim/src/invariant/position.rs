//! Promise 4: the position is never ahead of the data.

use super::{Finding, Invariant};
use crate::watch::View;

/// See [`Invariant::statement`].
#[derive(Debug, Clone, Copy)]
pub struct PositionNotAhead;

impl Invariant for PositionNotAhead {
    fn name(&self) -> &'static str {
        "position not ahead"
    }

    fn statement(&self) -> &'static str {
        "Position and store state of a visible generation are those of the snapshot whose data it \
         shows, in the store's own words and for whoever reads the shard. The state of a replica that \
         merges is its own."
    }

    fn check(&mut self, view: &View<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (node, shard, visible) in view.visible() {
            let published = visible.header.digest.and_then(|digest| view.books.ledger.image(shard, digest));
            // Without it the data is wrong, which others say.
            let Some(published) = published else { continue };
            let read = visible.image.as_ref().map(|image| &image.header);
            for header in read.into_iter().chain([&visible.header]) {
                if header.position != published.header.position {
                    let shown = |of: &Option<peerstream_types::Position>| {
                        of.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string)
                    };
                    let (got, snapshot) = (shown(&header.position), shown(&published.header.position));
                    let seen = format!("position {got} beside the data of the snapshot at {snapshot}");
                    findings.push(Finding::of(node, shard, seen));
                } else if visible.blocks.is_none() && header.state != published.header.state {
                    findings.push(Finding::of(node, shard, "the store state is not that of the data"));
                }
            }
        }
        findings
    }
}
