//! Unequal copies of one entry that a mergeable dataset merges: each is fetched, and the level says how
//! many replicas must have been heard (rows F-08, F-09).

use std::collections::BTreeMap;

use peerstream_types::Ordinal;

use super::{Context, Pass};
use crate::Action;
use crate::verdicts::{Count, Verdicts};
use crate::wanted::Finished;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leg {
    UnderWay,
    Came,
    Failed,
}

/// The copies of one entry.
#[derive(Debug, Clone)]
struct Contest {
    /// How many replicas report the entry.
    reporters: u32,
    /// Copies that have no ordinal yet.
    to_enter: u32,
    /// Each with the number of replicas that have it.
    legs: BTreeMap<Ordinal, (u32, Leg)>,
}

/// What became of a contest.
struct Judged {
    failed: Vec<Ordinal>,
    is_met: bool,
}

/// Contests that are not decided. Bounded by the unfinished entries.
#[derive(Debug, Clone, Default)]
pub(super) struct Contests {
    all: BTreeMap<u64, Contest>,
    of: BTreeMap<Ordinal, u64>,
    /// Those of which every copy came or failed.
    ripe: Vec<u64>,
}

impl Contests {
    /// An entry of which `legs` unequal copies were reported.
    pub(super) fn begin(&mut self, contest: u64, legs: u32, reporters: u32) {
        self.all.insert(contest, Contest { reporters, to_enter: legs, legs: BTreeMap::new() });
    }

    /// A copy was given an ordinal.
    pub(super) fn enter(&mut self, contest: u64, ordinal: Ordinal, votes: u32) {
        let Some(entered) = self.all.get_mut(&contest) else { return };
        entered.to_enter = entered.to_enter.saturating_sub(1);
        entered.legs.insert(ordinal, (votes, Leg::UnderWay));
        self.of.insert(ordinal, contest);
    }

    /// The ordinal was taken back.
    pub(super) fn withdraw(&mut self, ordinal: Ordinal) {
        if let Some(contest) = self.of.remove(&ordinal).and_then(|number| self.all.get_mut(&number)) {
            contest.to_enter += 1;
            contest.legs.remove(&ordinal);
        }
    }

    /// A copy came, as far as it is one.
    pub(super) fn came(&mut self, ordinal: Ordinal) -> bool {
        self.mark(ordinal, Leg::Came)
    }

    /// A copy is to be had from nobody; `false` if it is not one of several.
    pub(super) fn failed(&mut self, ordinal: Ordinal) -> bool {
        self.mark(ordinal, Leg::Failed)
    }

    /// An entry is finished; `false` if it is not one of several copies.
    pub(super) fn settled(&mut self, finished: &Finished) -> bool {
        self.mark(finished.ordinal, if finished.complete { Leg::Came } else { Leg::Failed })
    }

    fn mark(&mut self, ordinal: Ordinal, is: Leg) -> bool {
        let Some(number) = self.of.get(&ordinal).copied() else { return false };
        let contest = self.all.get_mut(&number);
        let Some((_, leg)) = contest.and_then(|contest| contest.legs.get_mut(&ordinal)) else { return false };
        *leg = is;
        self.ripen(number);
        true
    }

    fn ripen(&mut self, number: u64) {
        let is_ripe = |contest: &Contest| {
            contest.to_enter == 0 && contest.legs.values().all(|(_, leg)| *leg != Leg::UnderWay)
        };
        if self.all.get(&number).is_some_and(is_ripe) {
            self.ripe.push(number);
        }
    }

    /// Takes out what is decided.
    fn judge(&mut self, mut is_enough: impl FnMut(u32, u32) -> bool) -> Vec<Judged> {
        let mut judged = Vec::new();
        for number in std::mem::take(&mut self.ripe) {
            let Some(contest) = self.all.remove(&number) else { continue };
            let legs = contest.legs.iter();
            let of_kind = |kind: Leg| legs.clone().filter(move |(_, (_, leg))| *leg == kind);
            let votes = of_kind(Leg::Came).map(|(_, (votes, _))| votes).sum();
            let failed = of_kind(Leg::Failed).map(|(ordinal, _)| *ordinal).collect();
            judged.push(Judged { failed, is_met: is_enough(contest.reporters, votes) });
            contest.legs.keys().for_each(|ordinal| {
                self.of.remove(ordinal);
            });
        }
        judged
    }
}

impl Pass {
    /// What the level said of unequal copies so far.
    pub(crate) fn verdicts(&self) -> &Verdicts {
        &self.verdicts
    }

    /// Does without the copies that the level can do without.
    pub(super) fn judge_contests(&mut self, context: &mut Context<'_>) {
        let verdicts = &mut self.verdicts;
        for Judged { failed, is_met } in self.contests.judge(|reporters, votes| {
            verdicts.judge(context.agreement, Count { reporters, votes, is_tied: false })
        }) {
            for ordinal in failed {
                if is_met {
                    self.does_without(ordinal);
                    context.stats.left_out += 1;
                    context.actions.push_back(Action::LeaveOut { ordinal });
                } else {
                    self.lacks(ordinal);
                }
            }
        }
    }
}
