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
        "Every bulk byte that a node sent was let pass by its shaper before, and so was every byte of \
         content that it received."
    }

    fn check(&mut self, view: &View<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (id, _, books) in view.nodes_with_books() {
            let moved = [
                ("sent", books.payload_sent(), books.charged(Direction::Send)),
                ("received", books.content_received(), books.charged(Direction::Receive)),
            ];
            for (what, moved, charged) in moved {
                if moved > charged {
                    let seen = format!("{moved} bytes were {what}, the shaper let {charged} pass");
                    findings.push(Finding::at(id, seen));
                }
            }
        }
        findings
    }
}
