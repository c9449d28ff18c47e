//! One recovery job, its candidates and a store: answers in any order, and faults at every moment.

mod answers;
mod levels;
mod listing;
mod parts;
mod properties;
mod world;

use std::time::Duration;

use peerstream_recovery::{Agreement, Fault, SourceId};
use peerstream_select::Level;
use peerstream_types::{DatasetKind, FetchId};
use stateright::{Model, Property};

pub use parts::{Mark, Peer};
pub use properties::{
    AGREED, BOUNDED, ENDS, NAMED, NO_DEADLOCK, NO_MISUSE, ONCE, PROGRESS, Reach, SOURCES, STALE, WAITS, WHOLE,
};
pub use world::{Flaw, Owed, World};

use crate::calm::Calm;

/// Wrong drivers and stores: each breaks a property, which proves that it can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plant {
    /// The store says that it has stored, and has not.
    LostWrites,
    /// The store says that it has sealed, and has not.
    LostSeal,
    /// The store does not say what it holds.
    Forgetful,
    /// Fetches of a closed source go on.
    Deaf,
    /// The limits of attempts and dials are expected to be one lower.
    Fewer,
    /// Nobody arms the timer.
    NoClock,
    /// The driver goes back to an earlier job.
    Rewind,
    /// An answer that is given twice names another chunk the second time.
    Misfiled,
    /// A seal is answered before it is asked for.
    Hasty,
    /// What the store says of an earlier listing is taken for the next one's.
    Undropped,
    /// The job is told a lower level than the one that is asked for.
    Slack,
    /// Everybody's offer is taken for the first one's: a vote is counted that nobody gave.
    Forged,
    /// The store keeps what it is told to do without.
    Hoarder,
    /// Sources are asked for entries under the names that they have here.
    Renamed,
    /// The job is not told that the level has changed.
    Muffled,
}

/// A world: who can be asked, and what may go wrong.
#[derive(Debug)]
pub struct RecoveryWorld {
    /// The candidates, in the order in which they are asked.
    pub peers: Vec<Peer>,
    /// How much may go wrong in one run: all but good answers, back-off and what the job asks for.
    pub faults: u8,
    /// The limit of dials in vain.
    pub opens_per_peer: u32,
    /// The limit of attempts at one chunk.
    pub attempts_per_source: u32,
    /// Chunks of one fetch: with one, each is asked for by itself; with two, a fetch is answered in parts.
    pub fetch_chunks: u64,
    /// Whether further candidates join the first; without it there is too little for that.
    pub joins: bool,
    /// What is asked of the replicas.
    pub agreement: Agreement,
    /// Levels that may be asked for instead, at any moment. A fault.
    pub levels: Vec<Level>,
    /// How often everything may be begun again because the replicas disagree: where they do for good, that
    /// has no end.
    pub rounds_max: u64,
    /// Whether the store's word on the entries that it is asked to take comes at once.
    pub admits_at_once: bool,
    /// What some run must reach.
    pub reaches: Vec<Reach>,
    /// Whether a state knows how many steps led to it: then finitely many states are finitely many
    /// steps, whatever happens.
    pub counted: bool,
    /// What is planted, if anything.
    pub plant: Option<Plant>,
    /// States that are known to end.
    pub calm: Calm,
}

/// Why something was not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// What came is not right.
    Wrong,
    /// It is not there any longer.
    Gone,
    /// Not now.
    Busy,
    /// Something else.
    Failed,
}

impl Why {
    const ALL: [Self; 4] = [Self::Wrong, Self::Gone, Self::Busy, Self::Failed];

    fn fault(self) -> Fault {
        match self {
            Self::Wrong => Fault::Wrong("forged".to_owned()),
            Self::Gone => Fault::Gone("compacted".to_owned()),
            Self::Busy => Fault::Busy { retry_after: Some(Duration::from_secs(5)) },
            Self::Failed => Fault::Failed("cannot read".to_owned()),
        }
    }
}

/// What the store still has after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survives {
    /// What it said it has stored: the process was killed.
    Stored,
    /// Also what it was at work on.
    Written,
    /// Nothing: the power was lost before anything was made durable.
    Nothing,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// What is owed comes, and is good; content is stored at once.
    Give(Owed),
    /// Content has come and the store is at work on it.
    Arrive(Owed),
    /// It does not come. A fault.
    Deny(Owed, Why),
    /// A chunk comes and is not what it should be. A fault.
    Bad(Owed),
    /// The peer refuses, for good or for now. A fault.
    Refuse(SourceId, bool),
    /// The answer to a fetch ends before everything came. A fault.
    End(FetchId),
    /// The source will give nothing more of a fetch. A fault.
    DenyAll(FetchId, Why),
    /// The peer vanishes. A fault.
    Lose(SourceId),
    /// The store cannot take an entry that it is asked to, now or later. A fault.
    Unkept(Mark),
    /// Another level is asked for. A fault.
    Level(Level),
    /// The local store fails at something that has no answer. A fault.
    StoreFails,
    /// The operator calls it off. A fault.
    Abort,
    /// The receiver crashes and starts again, with another job for the same shard. A fault.
    Crash(Survives),
    /// Time passes up to the job's timer. A fault if something is still to come from the source.
    Timer,
    /// [`Plant::Rewind`].
    Rewind,
}

impl RecoveryWorld {
    /// A world with nothing planted.
    pub fn new(peers: &[Peer], faults: u8) -> Self {
        Self {
            peers: peers.to_vec(),
            faults,
            opens_per_peer: 2,
            attempts_per_source: 2,
            fetch_chunks: 1,
            joins: false,
            agreement: Agreement::default(),
            levels: Vec::new(),
            rounds_max: 1,
            admits_at_once: false,
            reaches: Vec::new(),
            counted: false,
            plant: None,
            calm: Calm::default(),
        }
    }

    /// How many sources may be open at once.
    fn sources_max(&self) -> usize {
        if self.joins || self.agreement.kind != DatasetKind::Local {
            parts::config(self).sources_max as usize
        } else {
            1
        }
    }

    /// What happens without a fault, in the order of the calm way.
    fn steps(&self, world: &World) -> Vec<Action> {
        let mut steps: Vec<Action> = world.get().owed.iter().map(|owed| Action::Give(*owed)).collect();
        if self.timeout(world) && !world.get().awaits_source() {
            steps.push(Action::Timer);
        }
        steps
    }

    /// Whether a timer is armed.
    fn timeout(&self, world: &World) -> bool {
        world.get().job.poll_timeout().is_some() && self.plant != Some(Plant::NoClock)
    }

    fn faults(&self, world: &World, actions: &mut Vec<Action>) {
        let scene = world.get();
        for owed in &scene.owed {
            match *owed {
                Owed::Offer(source) => {
                    actions.extend([Action::Refuse(source, false), Action::Refuse(source, true)]);
                }
                Owed::Page(..) | Owed::Outline(..) => {
                    actions.extend(Why::ALL.map(|why| Action::Deny(*owed, why)));
                }
                Owed::Item(fetch, ..) if !scene.in_hand.contains(owed) => {
                    actions.push(Action::Bad(*owed));
                    actions.extend(Why::ALL.map(|why| Action::Deny(*owed, why)));
                    if scene.may_end(owed) {
                        actions.push(Action::End(fetch));
                        actions.extend(Why::ALL.map(|why| Action::DenyAll(fetch, why)));
                    }
                }
                Owed::Admit => {
                    actions.push(Action::Deny(*owed, Why::Gone));
                    let joined = scene.listed.columns.len() > 1;
                    let marks = scene.listed.batch.iter().take(if joined { usize::MAX } else { 1 });
                    actions.extend(marks.map(|mark| Action::Unkept(*mark)));
                }
                Owed::Seal | Owed::Publish => actions.push(Action::Deny(*owed, Why::Failed)),
                Owed::Item(..) => {}
            }
        }
        actions.extend(scene.sources.keys().map(|source| Action::Lose(*source)));
        // A publish cannot be taken back: an abort is ignored then, which once is enough to see.
        if scene.job.outcome().is_none() && !scene.stopped {
            actions.push(Action::Abort);
        }
        if scene.job.outcome().is_none() && !scene.owed.contains(&Owed::Publish) {
            actions.push(Action::StoreFails);
        }
        if scene.job.outcome().is_none() {
            actions.push(Action::Crash(Survives::Stored));
            if !scene.in_hand.is_empty() {
                actions.push(Action::Crash(Survives::Written));
            }
            if scene.has_stored() {
                actions.push(Action::Crash(Survives::Nothing));
            }
        }
        if scene.job.outcome().is_none() {
            let others = self.levels.iter().filter(|level| **level != scene.level);
            actions.extend(others.map(|level| Action::Level(*level)));
        }
        if self.timeout(world) && scene.awaits_source() {
            actions.push(Action::Timer);
        }
    }

    /// Whether the replicas disagree for good, and the job waits until they do not, or are not asked to.
    fn is_stuck(&self, world: &World) -> bool {
        let scene = world.get();
        scene.waits_for_level() && self.timeout(world) && !scene.can_agree(self)
    }

    /// The next step of the calm way.
    fn calmly(&self, world: &World) -> Option<World> {
        if self.is_stuck(world) {
            return None;
        }
        let step = self.steps(world).into_iter().next()?;
        Some(world.after(self, &step))
    }
}

impl Model for RecoveryWorld {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        actions.extend(self.steps(world));
        let scene = world.get();
        let contents = scene.owed.iter().filter(|owed| matches!(owed, Owed::Item(..)));
        actions
            .extend(contents.filter(|owed| !scene.in_hand.contains(*owed)).map(|owed| Action::Arrive(*owed)));
        if scene.faults > 0 {
            self.faults(world, actions);
        }
        if scene.saved.is_some() {
            actions.push(Action::Rewind);
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        Some(world.after(self, &action))
    }

    fn within_boundary(&self, world: &World) -> bool {
        world.get().job.stats().rounds <= self.rounds_max
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut all = properties::all();
        if self.faults > 0 && self.plant.is_none() {
            all.extend(properties::with_faults());
            if self.joins {
                all.extend(properties::with_several());
            }
            all.extend(self.reaches.iter().map(|reach| reach.property()));
            let is_local = self.agreement.kind == DatasetKind::Local;
            if is_local && usize::from(self.faults) >= self.peers.len() && self.opens_per_peer > 1 {
                all.extend(properties::with_exhaustion());
            }
        }
        all
    }
}
