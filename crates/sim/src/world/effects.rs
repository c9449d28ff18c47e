//! Which faults did anything.

use std::sync::PoisonError;

use super::{Place, SimWorld};
use crate::fault::{Effect, Fault};
use crate::net::Way;

/// A fault that came, and what was counted then of what it can do.
#[derive(Debug)]
pub(super) struct Injected {
    fault: Fault,
    before: u64,
}

impl SimWorld {
    /// Remembers a fault that comes now.
    pub(crate) fn remember(&self, fault: &Fault) {
        let injected = Injected { fault: fault.clone(), before: self.effects_of(fault) };
        self.0.injected.lock().unwrap_or_else(PoisonError::into_inner).push(injected);
    }

    /// How many of the faults that came so far had an effect: somebody was down after them who was up, a
    /// datagram was lost, a read had to wait. What one of two equal ones did counts for both.
    pub fn faults_that_acted(&self) -> u64 {
        let injected = self.0.injected.lock().unwrap_or_else(PoisonError::into_inner);
        injected.iter().filter(|came| self.effects_of(&came.fault) > came.before).count() as u64
    }

    fn effects_of(&self, fault: &Fault) -> u64 {
        let effects = fault.effects();
        match &fault.nodes()[..] {
            [a, b] => {
                let (a, b) = (a.place(self).0, b.place(self).0);
                let ways: &[Way] =
                    if matches!(fault, Fault::CutOneWay { .. }) { &[(a, b)] } else { &[(a, b), (b, a)] };
                let count = |paths: &mut crate::net::Paths| -> u64 {
                    let counted = paths.effects();
                    let each = ways.iter().flat_map(|way| effects.iter().map(move |effect| (*effect, *way)));
                    each.filter_map(|of| counted.get(&of)).sum()
                };
                self.0.net.with_paths(count)
            }
            [node] => {
                let tally = self.node(node).map(|node| node.machine.tally);
                tally.map_or(0, |tally| effects.iter().map(|effect| tally.count(*effect)).sum())
            }
            _ => 0,
        }
    }

    /// All effects of faults so far: at whom, and what.
    pub(super) fn effects(&self) -> Vec<(String, Effect)> {
        let mut seen: Vec<(String, Effect)> = Vec::new();
        for node in self.all_nodes() {
            seen.extend(node.machine.tally.seen().into_iter().map(|effect| (node.id.to_string(), effect)));
        }
        let of_links: std::collections::BTreeSet<Effect> =
            self.0.net.with_paths(|paths| paths.effects().keys().map(|(effect, _)| *effect).collect());
        seen.extend(of_links.into_iter().map(|effect| ("network".to_owned(), effect)));
        seen
    }
}
