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
        "No byte of a listing goes to a peer that no rule of the sender allows to list a dataset, and none of \
         content to one that no rule allows to fetch. A peer whose rules are taken away gets at most what \
         was under way. Which of several datasets it is, is not told apart."
    }

    fn check(&mut self, view: &View<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (id, node, books) in view.nodes_with_books() {
            let in_flight = node.config.peer_bytes_in_flight.0;
            for ((peer, verb), denied) in &books.denied {
                let allowed = if denied.was_permitted { in_flight } else { 0 };
                if denied.bytes > allowed {
                    let seen = format!("{} bytes went to {peer}, whom no rule allows {verb}", denied.bytes);
                    findings.push(Finding::at(id, seen));
                }
            }
        }
        findings
    }
}
