//! Promise 5: foreground first.

use peerstream_shape::Direction;

use super::{Finding, Invariant};
use crate::watch::View;

/// See [`Invariant::statement`].
#[derive(Debug, Clone, Copy)]
pub struct ForegroundFirst;

impl Invariant for ForegroundFirst {
    fn name(&self) -> &'static str {
        "foreground first"
    }

    fn statement(&self) -> &'static str {
        "Every bulk byte that a node sent to a peer was let pass by its shaper for that peer before, and so \
         was every byte of content that it received from one. Classes are not told apart, nor is what is \
         read for hashing."
    }

    fn check(&mut self, view: &View<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (id, _, books) in view.nodes_with_books() {
            let sent = books.sent.iter().map(|(peer, moved)| (Direction::Send, peer, moved.payload));
            let received =
                books.received.iter().map(|(peer, moved)| (Direction::Receive, peer, moved.content));
            for (direction, peer, moved) in sent.chain(received) {
                let charged = books.charged(direction, peer);
                if moved > charged {
                    let way = if direction == Direction::Send { "sent to" } else { "received from" };
                    let seen = format!("{moved} bytes were {way} {peer}, the shaper let {charged} pass");
                    findings.push(Finding::at(id, seen));
                }
            }
        }
        findings
    }
}
