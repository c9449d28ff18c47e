//! Medians, and ratios of pairs.

use serde::Serialize;

use super::contestant::{Contestant, Tool};
use super::round::Run;

/// The smallest, the middle and the largest of some values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) min: f64,
    pub(super) median: f64,
    pub(super) max: f64,
}

impl Spread {
    /// `None` of no values.
    pub(super) fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some(Self { min, median: (low + high) / 2.0, max })
    }
}

/// How we compare to somebody, over the rounds that both ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Ratio {
    pub(super) ours: Contestant,
    pub(super) against: Contestant,
    /// Our speed in units of theirs; above 1 we are faster.
    pub(super) speed: Spread,
    /// Our processor time in units of theirs; below 1 we need less.
    pub(super) cpu: Spread,
}

/// Every pair of ours and another with the same MTU, or with none.
pub(super) fn ratios(runs: &[Run]) -> Vec<Ratio> {
    let field = contestants(runs);
    let mut ratios = Vec::new();
    for ours in field.iter().filter(|one| one.tool == Tool::Ours) {
        let rival = |one: &&Contestant| one.tool != Tool::Ours && (one.mtu.is_none() || one.mtu == ours.mtu);
        ratios.extend(field.iter().filter(rival).filter_map(|against| ratio(runs, *ours, *against)));
    }
    ratios
}

/// Who has runs, in the order of their first one.
pub(super) fn contestants(runs: &[Run]) -> Vec<Contestant> {
    let mut found = Vec::new();
    for run in runs {
        if !found.contains(&run.contestant) {
            found.push(run.contestant);
        }
    }
    found
}

fn ratio(runs: &[Run], ours: Contestant, against: Contestant) -> Option<Ratio> {
    let of = |who| runs.iter().filter(move |run| run.contestant == who);
    let pairs: Vec<(&Run, &Run)> = of(ours)
        .filter_map(|mine| Some((mine, of(against).find(|other| other.round == mine.round)?)))
        .collect();
    let speed = Spread::of(pairs.iter().map(|(mine, other)| other.wall_s / mine.wall_s))?;
    let cpu = Spread::of(pairs.iter().map(|(mine, other)| mine.cpu_per_gib / other.cpu_per_gib))?;
    Some(Ratio { ours, against, speed, cpu })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::bench) fn sample(tool: Tool, mtu: Option<u16>, round: u32, wall_s: f64) -> Run {
        Run {
            contestant: Contestant { tool, mtu },
            round,
            wall_s,
            mib_per_s: 2048.0 / wall_s,
            files_per_s: 1.0 / wall_s,
            cpu_per_gib: wall_s,
            sender_cpu_s: wall_s,
            receiver_cpu_s: wall_s,
            sender_rss_mib: 20.0,
            receiver_rss_mib: 30.0,
            prepare_s: 0.4,
            prepare_cpu_s: 0.4,
            transfer_s: None,
        }
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        let spread = Spread::of([4.0, 1.0, 3.0, 2.0].into_iter()).unwrap();
        assert_eq!(spread, Spread { min: 1.0, median: 2.5, max: 4.0 });
        assert_eq!(Spread::of([7.0].into_iter()).unwrap().median, 7.0);
        assert_eq!(Spread::of(std::iter::empty()), None);
    }

    /// A machine that is slow in one round is slow for both of a pair.
    #[test]
    fn ratios_are_of_pairs_in_one_round() {
        let (ours, raw) = (|round, s| sample(Tool::Ours, Some(1452), round, s), Tool::Raw);
        let runs = [
            ours(1, 2.0),
            sample(raw, Some(1452), 1, 1.0),
            sample(raw, Some(8972), 1, 0.1),
            ours(2, 20.0),
            sample(raw, Some(1452), 2, 10.0),
            // The third pair is not whole.
            ours(3, 1.0),
        ];
        let ratios = ratios(&runs);
        assert_eq!(ratios.len(), 1, "another MTU is no pair: {ratios:?}");
        assert_eq!(ratios[0].speed, Spread { min: 0.5, median: 0.5, max: 0.5 });
        assert_eq!(ratios[0].cpu.median, 2.0);
    }
}
