//! Runs of numbers: which parts were acknowledged.

use std::collections::BTreeMap;

/// A set of numbers, kept as runs that neither overlap nor touch.
#[derive(Debug, Clone, Default)]
pub(crate) struct Runs(BTreeMap<u64, u64>);

impl Runs {
    /// How many runs there are: what the set costs.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether adding `start..end` makes no further run.
    pub(crate) fn touches(&self, start: u64, end: u64) -> bool {
        self.0.range(..=end).next_back().is_some_and(|(_, last)| *last >= start)
    }

    /// The parts of `start..end` that are not in the set, in order.
    pub(crate) fn missing(&self, start: u64, end: u64) -> Vec<(u64, u64)> {
        let mut gaps = Vec::new();
        let mut at = self.0.range(..=start).next_back().map_or(start, |(_, last)| start.max(*last));
        for (&first, &last) in self.0.range(start..end) {
            if first > at {
                gaps.push((at, first));
            }
            at = at.max(last);
        }
        if at < end {
            gaps.push((at, end));
        }
        gaps
    }

    /// Adds `start..end`.
    pub(crate) fn insert(&mut self, start: u64, end: u64) {
        let (mut start, mut end) = (start, end);
        while let Some((&first, &last)) = self.0.range(..=end).next_back().filter(|(_, last)| **last >= start)
        {
            self.0.remove(&first);
            (start, end) = (start.min(first), end.max(last));
        }
        self.0.insert(start, end);
    }

    /// Whether a number is in the set.
    pub(crate) fn contains(&self, number: u64) -> bool {
        self.0.range(..=number).next_back().is_some_and(|(_, last)| *last > number)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig {
            rng_seed: RngSeed::Fixed(40),
            failure_persistence: None,
            ..Default::default()
        })]

        #[test]
        fn runs_are_a_set(ranges in prop::collection::vec((0..60u64, 1..12u64), 1..30)) {
            let (mut runs, mut set) = (Runs::default(), BTreeSet::new());
            for (start, len) in ranges {
                let end = start + len;
                let missing: Vec<u64> = runs.missing(start, end).into_iter().flat_map(|(a, b)| a..b).collect();
                let expected: Vec<u64> = (start..end).filter(|n| !set.contains(n)).collect();
                prop_assert_eq!(missing, expected);
                let (touches, before) = (runs.touches(start, end), runs.count());
                runs.insert(start, end);
                set.extend(start..end);
                prop_assert_eq!(runs.count() <= before, touches);
                let members = (0..80).filter(|n| runs.contains(*n)).collect::<BTreeSet<u64>>();
                prop_assert_eq!(&members, &set);
            }
            let starts = set.iter().filter(|n| **n == 0 || !set.contains(&(**n - 1))).count();
            prop_assert_eq!(runs.count(), starts);
        }
    }
}
