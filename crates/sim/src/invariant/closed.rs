//! Promise 10: closed by default.

use super::{Finding, Invariant};
use crate::watch::View;

/// See [`Invariant::statement`].
#[derive(Debug, Clone, Copy)]
pub struct Closed;

impl Invariant for Closed {
    fn name(&self) -> &'static str {
        "closed"
    }

    fn statement(&self) -> &'static str {
        "No bulk byte goes to a peer that no rule of the sender allows to read anything. A peer whose \
         rules are taken away gets at most what was under way."
    }

    fn check(&mut self, view: &View<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (id, node, books) in view.nodes_with_books() {
            let in_flight = node.config.peer_bytes_in_flight.0;
            for (peer, denied) in &books.denied {
                let allowed = if denied.was_permitted { in_flight } else { 0 };
                if denied.bytes > allowed {
                    let seen = format!("{} bytes went to {peer}, whom no rule allows anything", denied.bytes);
                    findings.push(Finding::at(id, seen));
                }
            }
        }
        findings
    }
}
