//! A failure is narrowed down: faults that it does not need are left out.

use std::collections::BTreeSet;

use super::{Failure, RunOptions, Scenario};

/// Most runs that narrowing takes.
const RUNS_MAX: usize = 200;

/// A failure with as few faults as were found to be enough.
#[derive(Debug, Clone)]
pub struct Narrowed {
    /// The run; what it leaves out is not needed.
    pub options: RunOptions,
    /// How it fails.
    pub failure: Failure,
    /// How many runs it took.
    pub runs: usize,
}

impl Scenario {
    /// Leaves out faults as long as the run fails in the same way: halves first, then single ones.
    pub fn narrow(&self, options: &RunOptions, failure: Failure) -> Narrowed {
        let faults = self.faults(options).len();
        let mut narrowed = Narrowed { options: options.clone(), failure, runs: 0 };
        let mut step = faults.div_ceil(2);
        while step > 0 {
            let left: Vec<usize> = (0..faults).filter(|at| !narrowed.options.without.contains(at)).collect();
            let before = narrowed.options.without.len();
            for some in left.chunks(step) {
                if narrowed.runs == RUNS_MAX {
                    return narrowed;
                }
                self.try_without(&mut narrowed, some);
            }
            let gained = narrowed.options.without.len() > before;
            step = if step == 1 && !gained { 0 } else { (step / 2).max(1) };
        }
        narrowed
    }

    fn try_without(&self, narrowed: &mut Narrowed, some: &[usize]) {
        let without: BTreeSet<usize> = narrowed.options.without.iter().chain(some).copied().collect();
        let options = RunOptions { without, ..narrowed.options.clone() };
        narrowed.runs += 1;
        if let Err(failure) = self.run(&options)
            && failure.is_like(&narrowed.failure)
        {
            (narrowed.options, narrowed.failure) = (options, failure);
        }
    }
}
