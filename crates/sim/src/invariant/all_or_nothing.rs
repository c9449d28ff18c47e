//! Promise 3: all or nothing.

use peerstream_types::ShardId;

use super::{Finding, Invariant};
use crate::oracle::entry_difference;
use crate::watch::{View, Visible};

/// See [`Invariant::statement`].
#[derive(Debug, Clone, Copy)]
pub struct AllOrNothing;

impl Invariant for AllOrNothing {
    fn name(&self) -> &'static str {
        "all or nothing"
    }

    fn statement(&self) -> &'static str {
        "What is visible of a received shard is the whole of one manifest that a source published, and \
         nothing else, also before the first one is published; a generation that was published stays visible \
         until the next one is. What is merged is visible as it comes, and is another matter."
    }

    fn check(&mut self, view: &View<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (node, shard, visible) in view.visible() {
            findings.extend(partial(view, shard, visible).map(|seen| Finding::of(node, shard, seen)));
        }
        for (id, node) in view.nodes.iter().filter(|(_, node)| node.is_up && !node.unreadable.is_empty()) {
            if !view.rots(id) {
                let seen = |error: &str| format!("what is visible cannot be told: {error}");
                findings
                    .extend(node.unreadable.iter().map(|(shard, error)| Finding::of(id, shard, seen(error))));
            }
        }
        // A node that is down shows nothing, and cannot be asked.
        for (id, node, books) in view.nodes_with_books().filter(|(_, node, _)| node.is_up) {
            let shows = |shard| node.visible.get(shard).map(|visible| visible.generation);
            let gone = books.published.iter().filter(|(shard, published)| shows(*shard) < Some(**published));
            findings.extend(gone.map(|(shard, published)| {
                let seen = format!("generation {published} was published, {:?} is visible", shows(shard));
                Finding::of(id, shard, seen)
            }));
        }
        findings
    }
}

/// How what is visible differs from the one manifest that it should be.
fn partial(view: &View<'_>, shard: &ShardId, visible: &Visible) -> Option<String> {
    if visible.blocks.is_some() {
        return None;
    }
    let Some(digest) = visible.header.digest else {
        return Some("the visible manifest is not sealed".to_owned());
    };
    let Some(published) = view.books.ledger.image(shard, digest) else {
        return Some(format!("no source published a manifest {digest}"));
    };
    let shown = visible.image.as_ref()?;
    entry_difference(published, shown).map(|difference| difference.to_string())
}
