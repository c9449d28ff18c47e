//! Whom to fetch one entry from, again and again until it is there or the level says that it is enough.
//!
//! Copies that are the same are fetched once, from the best holder: fewest attempts for this entry,
//! then least outstanding work, counted over all shards, then the lowest node id (row F-07). Copies
//! that differ are fetched from everyone who has one, each leg from its own peer (row F-08). What a
//! peer reported of the entry, its tags included, is kept through every retry (row F-36).
//!
//! After every input: [`Pursuit::poll`] until it says something else than [`Next::Fetch`].

use std::num::NonZeroU32;
use std::sync::Arc;

use peerstream_types::Entry;

use crate::level::majority;
use crate::{Ballot, Joined, Level, Slot, Slots, Standing, Verdict};

mod loads;

pub use loads::Loads;

/// How often one peer is asked for one entry before it counts as failed there (row F-11). Default 2.
pub const ATTEMPTS_PER_PEER: NonZeroU32 = NonZeroU32::new(2).expect("it is positive");

/// What a choice depends on at the moment it is made.
pub struct View<'a> {
    /// The level, read anew for every decision (row F-20).
    pub level: Level,
    /// The replication factor of the shard.
    pub replicas: u32,
    /// Whether this node's own vote counts for the entry ([`OwnVote`](crate::OwnVote)).
    pub own_vote: bool,
    /// Attempts per peer, [`ATTEMPTS_PER_PEER`] by default.
    pub attempts_per_peer: NonZeroU32,
    /// Who can be reached. Nobody else is chosen, and nobody else is waited for (row F-13).
    pub reachable: Slots,
    /// Who is penalised: chosen only where nobody else is left, so that penalties for all of them
    /// never lose an entry.
    pub avoided: Slots,
    /// Work outstanding at a peer, over all shards ([`Loads`]).
    pub outstanding: &'a dyn Fn(Slot) -> u64,
}

impl View<'_> {
    /// A view with the defaults: nobody is avoided or busy, the own vote does not count.
    pub fn new(level: Level, replicas: u32, reachable: Slots) -> Self {
        Self {
            level,
            replicas,
            own_vote: false,
            attempts_per_peer: ATTEMPTS_PER_PEER,
            reachable,
            avoided: Slots::NONE,
            outstanding: &|_| 0,
        }
    }
}

impl std::fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { level, replicas, own_vote, attempts_per_peer, reachable, avoided, outstanding: _ } = self;
        write!(f, "{level} of {replicas}, own vote {own_vote}, {attempts_per_peer} attempts, ")?;
        write!(f, "reachable {reachable:?}, avoided {avoided:?}")
    }
}

/// What is to be done about an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Fetch it from this replica. Answered by [`Pursuit::handle_done`] or [`Pursuit::handle_failed`].
    Fetch(Slot),
    /// Nothing, until what is under way ends.
    UnderWay,
    /// It is there, as far as the level asks for. Stays so.
    Finished {
        /// Whose copies differ and did not come, and are no longer asked for.
        abandoned: Slots,
        /// Those of them that are under way: to be cancelled.
        cancel: Slots,
    },
    /// Everyone has failed and the level is not met: attempts are forgotten, copies that came are
    /// kept. Wait for a while (row F-12), then poll again, which begins the next round.
    StartOver {
        /// How many rounds have ended so, this one included.
        rounds: u32,
    },
    /// Everyone has failed and the level is `none`: the entry is left out, which has to be reported
    /// (row F-19). Stays so.
    Dropped,
    /// This node failed, not a peer. Stays so.
    Aborted,
}

/// Why a fetch brought nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Failure {
    /// It failed, stalled, or its bytes were wrong: one attempt is used up.
    Attempt,
    /// The peer does not have it any more or will not give it: not asked again in this round.
    ForGood,
    /// This node is at fault: its store, say. No peer could do better (row F-14).
    Own,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    UnderWay,
    Done,
    Spent,
}

#[derive(Debug, Clone)]
struct Leg {
    slot: Slot,
    report: Arc<Entry>,
    attempts: u32,
    state: State,
}

/// One entry on its way from those who have it.
#[derive(Debug, Clone)]
pub struct Pursuit {
    legs: Vec<Leg>,
    /// Whether the copies differ and all are wanted.
    every: bool,
    rounds: u32,
    end: Option<Next>,
}

impl Pursuit {
    /// Begins for an entry that a join handed on.
    pub fn of(joined: &Joined<'_>) -> Self {
        let reports = joined.reports().map(|(slot, entry)| (slot, Arc::clone(entry)));
        Self::new(&Verdict::of(joined), reports)
    }

    /// Begins for an entry with these reports, and the verdict on them. Reports of replicas that the
    /// verdict does not name are left out.
    pub fn new(verdict: &Verdict, reports: impl IntoIterator<Item = (Slot, Arc<Entry>)>) -> Self {
        let reporters = verdict.reporters();
        let named = reports.into_iter().filter(|(slot, _)| reporters.contains(*slot));
        let leg = |(slot, report)| Leg { slot, report, attempts: 0, state: State::Idle };
        let mut legs: Vec<Leg> = named.map(leg).collect();
        legs.sort_by_key(|leg| leg.slot);
        legs.dedup_by_key(|leg| leg.slot);
        let every = matches!(verdict, Verdict::FanOut { .. });
        Self { legs, every, rounds: 0, end: None }
    }

    /// What a replica reported of the entry: what it is asked for, and the tags to keep.
    pub fn report(&self, slot: Slot) -> Option<&Arc<Entry>> {
        self.legs.iter().find(|leg| leg.slot == slot).map(|leg| &leg.report)
    }

    /// How often a replica was asked in this round.
    pub fn attempts(&self, slot: Slot) -> u32 {
        self.legs.iter().find(|leg| leg.slot == slot).map_or(0, |leg| leg.attempts)
    }

    /// How many rounds ended with everyone failing: more than none is worth showing.
    pub fn rounds(&self) -> u32 {
        self.rounds
    }

    /// Whose copies came.
    pub fn done(&self) -> Slots {
        self.in_state(State::Done)
    }

    /// What is to be done now.
    pub fn poll(&mut self, view: &View<'_>) -> Next {
        if let Some(end) = self.end {
            return end;
        }
        let next = if self.every { self.poll_every(view) } else { self.poll_any(view) };
        match next {
            Next::Fetch(_) | Next::UnderWay | Next::StartOver { .. } => {}
            Next::Finished { .. } | Next::Dropped | Next::Aborted => self.end = Some(next),
        }
        next
    }

    /// A replica's copy came, was verified and stored.
    pub fn handle_done(&mut self, slot: Slot) {
        if let Some(leg) = self.under_way(slot) {
            leg.state = State::Done;
        }
    }

    /// A fetch brought nothing.
    pub fn handle_failed(&mut self, slot: Slot, failure: Failure) {
        let Some(leg) = self.under_way(slot) else { return };
        leg.state = match failure {
            Failure::Attempt => State::Idle,
            Failure::ForGood => State::Spent,
            Failure::Own => {
                leg.state = State::Idle;
                self.end = Some(Next::Aborted);
                return;
            }
        };
    }

    fn poll_any(&mut self, view: &View<'_>) -> Next {
        if !self.done().is_empty() {
            return Next::Finished { abandoned: Slots::NONE, cancel: Slots::NONE };
        }
        if !self.in_state(State::UnderWay).is_empty() {
            return Next::UnderWay;
        }
        match self.best(view, |_| true) {
            Some(best) => self.fetch(best),
            None => self.exhausted(view),
        }
    }

    fn poll_every(&mut self, view: &View<'_>) -> Next {
        if let Some(fresh) = self.best(view, |leg| leg.attempts == 0) {
            return self.fetch(fresh);
        }
        let under_way = self.in_state(State::UnderWay);
        match self.ballot(view).judge(view.level) {
            Standing::Met => {
                // A copy that has not failed yet may be the newest; one that fails is not waited for.
                let healthy = self.legs.iter().any(|leg| leg.state == State::UnderWay && leg.attempts == 1);
                let abandoned = self.legs.iter().map(|leg| leg.slot).collect::<Slots>().without(self.done());
                if healthy { Next::UnderWay } else { Next::Finished { abandoned, cancel: under_way } }
            }
            Standing::Open { .. } => match self.best(view, |_| true) {
                Some(again) => self.fetch(again),
                None => Next::UnderWay,
            },
            Standing::NotAttempted | Standing::Dropped | Standing::Missed { .. } => self.exhausted(view),
        }
    }

    fn fetch(&mut self, index: usize) -> Next {
        let leg = &mut self.legs[index];
        leg.attempts += 1;
        leg.state = State::UnderWay;
        Next::Fetch(leg.slot)
    }

    /// Nobody is left to ask: the level decides, by what the peers gave.
    fn exhausted(&mut self, view: &View<'_>) -> Next {
        if self.done().is_empty() && view.level == Level::None {
            return Next::Dropped;
        }
        self.rounds = self.rounds.saturating_add(1);
        for leg in self.legs.iter_mut().filter(|leg| leg.state != State::Done) {
            (leg.attempts, leg.state) = (0, State::Idle);
        }
        Next::StartOver { rounds: self.rounds }
    }

    /// The best of the legs that may be asked.
    fn best(&self, view: &View<'_>, among: impl Fn(&Leg) -> bool) -> Option<usize> {
        let rank = |leg: &Leg| {
            let avoided = view.avoided.contains(leg.slot);
            (avoided, leg.attempts, (view.outstanding)(leg.slot), leg.slot)
        };
        let may_be_asked =
            self.legs.iter().enumerate().filter(|(_, leg)| leg.may_be_asked(view) && among(leg));
        may_be_asked.min_by_key(|(_, leg)| rank(leg)).map(|(index, _)| index)
    }

    /// The counts of the legs. An entry that fewer replicas report than the level asks for is judged
    /// among those who report it (row F-10), so the factor is cut down to what they could meet.
    fn ballot(&self, view: &View<'_>) -> Ballot {
        let legs = u32::try_from(self.legs.len()).unwrap_or(u32::MAX);
        let factor_max = legs.saturating_mul(2).saturating_sub(1);
        debug_assert!(majority(factor_max) <= legs.max(1));
        let failed = self.legs.iter().filter(|leg| leg.has_failed(view)).count();
        Ballot {
            replicas: view.replicas.min(factor_max),
            others: legs,
            own_vote: view.own_vote,
            eligible: legs,
            asked: legs,
            succeeded: self.done().len(),
            failed: u32::try_from(failed).unwrap_or(u32::MAX),
        }
    }

    fn in_state(&self, state: State) -> Slots {
        self.legs.iter().filter(|leg| leg.state == state).map(|leg| leg.slot).collect()
    }

    fn under_way(&mut self, slot: Slot) -> Option<&mut Leg> {
        self.legs.iter_mut().find(|leg| leg.slot == slot && leg.state == State::UnderWay)
    }
}

impl Leg {
    fn may_be_asked(&self, view: &View<'_>) -> bool {
        self.state == State::Idle
            && self.attempts < view.attempts_per_peer.get()
            && view.reachable.contains(self.slot)
    }

    /// Nothing comes from it in this round any more.
    fn has_failed(&self, view: &View<'_>) -> bool {
        match self.state {
            State::Spent => true,
            State::Idle => !self.may_be_asked(view),
            State::UnderWay | State::Done => false,
        }
    }
}

#[cfg(test)]
mod tests;
