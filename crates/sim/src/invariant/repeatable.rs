//! Promise 11: repeatable.

use super::{Finding, Invariant};
use crate::watch::View;

/// Holds a run against the trace of an earlier one with the same seed.
#[derive(Debug, Clone)]
pub struct Repeatable {
    before: Vec<String>,
    /// Lines that were compared.
    compared: usize,
}

impl Repeatable {
    /// Against the trace of the first run.
    pub fn against(before: &str) -> Self {
        Self { before: before.lines().map(str::to_owned).collect(), compared: 0 }
    }
}

impl Invariant for Repeatable {
    fn name(&self) -> &'static str {
        "repeatable"
    }

    fn statement(&self) -> &'static str {
        "A run has the same trace as any other run with its seed, line by line, up to every moment, \
         and ends where the other one does."
    }

    fn check(&mut self, view: &View<'_>) -> Vec<Finding> {
        for line in view.trace.lines_from(self.compared) {
            let before = self.before.get(self.compared).map_or("nothing", String::as_str);
            if before != line {
                let seen = format!("line {}: {before:?} became {line:?}", self.compared + 1);
                return vec![Finding { node: None, shard: None, seen }];
            }
            self.compared += 1;
        }
        Vec::new()
    }
}
