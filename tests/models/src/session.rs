//! Two ends of one session over a connection that fails, with drivers that take their time.

mod end;
mod parts;
mod properties;
mod world;

use std::time::Duration;

use peerstream_session::{Session, State};
use peerstream_types::FetchId;
use peerstream_wire::Code;
use stateright::{Model, Property};

pub use end::{End, Flaw, Todo};
pub use properties::{AGREE, COMPLETE, ENDS, NO_BREACH, NO_DEADLOCK, NO_MISUSE, STICKS, WAITS};
pub use world::{Facts, Link, What, World};

use crate::calm::Calm;

/// What is to move. Neither is an empty session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tasks {
    /// The initiator wants a shard.
    pub pull: bool,
    /// The initiator offers another one.
    pub push: bool,
}

/// Wrong drivers and networks: each breaks a property, which proves that it can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plant {
    /// Sources never serve: nothing ends by itself.
    Silent,
    /// The network changes the code of an Abort.
    Mislabel,
    /// The network says Release and Complete for the peer.
    Forged,
    /// Receivers release what they have not stored.
    Eager,
    /// Drivers do everything twice.
    Twofold,
    /// A message that is delivered twice excuses nothing.
    Unexcused,
    /// A driver puts a fresh session where one has ended.
    Zombie,
}

/// A world: what moves, and what may go wrong.
#[derive(Debug)]
pub struct SessionWorld {
    /// What is to move.
    pub tasks: Tasks,
    /// How much may go wrong in one run: each [`Action`] that says so is one.
    pub faults: u8,
    /// How many timers may fire in one run; `u8::MAX` for any number.
    pub timers: u8,
    /// Keep-alive of both ends; zero turns it and the silence off.
    pub keep_alive: Duration,
    /// What is planted, if anything.
    pub plant: Option<Plant>,
    /// States that are known to end.
    pub calm: Calm,
}

/// A step. 0 is the initiator, 1 the follower.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The next item of the control stream arrives at this end.
    Deliver(usize),
    /// It arrives and will arrive again. A fault.
    Twice(usize),
    /// A data stream arrives at this end, whole and right.
    Stream(usize, FetchId),
    /// A data stream arrives, and what is on it is not what was asked for. A fault.
    Garbled(usize, FetchId),
    /// The driver does what it owes.
    Decide(usize, Todo),
    /// The driver refuses to. A fault.
    Decline(usize, Todo),
    /// The clock of this end goes on to its next timer.
    Timer(usize),
    /// The driver aborts, because it was told to. A fault.
    CallOff(usize),
    /// The driver aborts, because it failed. A fault.
    Fail(usize),
    /// The connection goes. A fault.
    Cut,
    /// The process goes. A fault.
    Crash(usize),
    /// The initiator's process comes back; its new Init overtakes the end of the old connection, or not.
    Restart(bool),
    /// The initiator sends Init again; what is under way is lost, or not. A fault.
    Again(bool),
    /// [`Plant::Forged`].
    Forge(usize),
    /// [`Plant::Zombie`].
    Revive(usize),
}

impl SessionWorld {
    /// A world with keep-alive and nothing planted.
    pub fn new(tasks: Tasks, faults: u8, timers: u8) -> Self {
        let (keep_alive, plant) = (Duration::from_secs(10), None);
        Self { tasks, faults, timers, keep_alive, plant, calm: Calm::default() }
    }

    /// What may happen without a fault, in the order of the calm way. Timers come last.
    fn steps(&self, world: &World) -> Vec<Action> {
        let mut steps = Vec::new();
        for at in 0..2 {
            if !world.links[at].get().control.is_empty() {
                steps.push(Action::Deliver(at));
            }
        }
        for at in 0..2 {
            let Some(end) = world.ends[at].as_ref().map(|end| end.get()) else { continue };
            let own = world.links[at].get().streams.iter().filter(|(of, _)| *of == end.connection);
            steps.extend(own.map(|(_, request)| Action::Stream(at, *request)));
            let silent = self.plant == Some(Plant::Silent);
            let due = end.todo.iter().filter(|todo| !silent || !matches!(todo, Todo::Serve(_)));
            steps.extend(due.map(|todo| Action::Decide(at, *todo)));
        }
        for at in 0..2 {
            if world.session(at).and_then(Session::poll_timeout).is_some() {
                steps.push(Action::Timer(at));
            }
        }
        steps
    }

    fn faults(&self, world: &World, steps: &[Action], actions: &mut Vec<Action>) {
        for step in steps {
            if let Action::Deliver(to) = *step {
                let front = world.links[to].get().control.front();
                if matches!(front, Some((_, What::Message(_)))) && !world.facts.twice {
                    actions.push(Action::Twice(to));
                }
            } else if let Action::Stream(to, request) = *step {
                actions.push(Action::Garbled(to, request));
            } else if let Action::Decide(at, todo @ (Todo::Decide | Todo::Answer | Todo::Serve(_))) = *step {
                actions.push(Action::Decline(at, todo));
            }
        }
        for at in 0..2 {
            if world.session(at).is_some_and(|session| !session.state().is_final()) {
                actions.extend([Action::CallOff(at), Action::Fail(at), Action::Crash(at)]);
            }
        }
        if world.facts.connected {
            actions.push(Action::Cut);
        }
        let in_init = world.session(0).is_some_and(|session| session.state() == State::Init);
        if in_init && !world.facts.again {
            actions.extend([Action::Again(false), Action::Again(true)]);
        }
    }

    fn planted(&self, world: &World, actions: &mut Vec<Action>) {
        for at in 0..2 {
            let Some(session) = world.session(at) else { continue };
            if self.plant == Some(Plant::Forged) && session.state() == State::Stream {
                actions.push(Action::Forge(at));
            }
            if self.plant == Some(Plant::Zombie) && session.state().is_final() {
                actions.push(Action::Revive(at));
            }
        }
    }

    fn step(&self, world: &mut World, action: Action) {
        match action {
            Action::Deliver(to) => world.deliver(self, to, false),
            Action::Twice(to) => world.deliver(self, to, true),
            Action::Stream(to, request) => world.stream(self, to, request, true),
            Action::Garbled(to, request) => world.stream(self, to, request, false),
            Action::Decide(at, todo) => world.decide(self, at, todo, true),
            Action::Decline(at, todo) => world.decide(self, at, todo, false),
            Action::Timer(at) => world.timer(self, at),
            Action::CallOff(at) => world.abort(self, at, Code::Aborted),
            Action::Fail(at) => world.abort(self, at, Code::Full),
            Action::Cut => world.cut(),
            Action::Crash(at) => world.crash(at),
            Action::Restart(overtakes) => world.restart(self, overtakes),
            Action::Again(lost) => world.again(lost),
            Action::Forge(to) => world.forge(self, to),
            Action::Revive(at) => world.revive(self, at),
        }
    }

    /// The next step of the calm way, on which both clocks run alike.
    fn calmly(&self, world: &World) -> Option<World> {
        let step = *self.steps(world).first()?;
        let mut next = world.clone();
        if matches!(step, Action::Timer(_)) {
            next.both_clocks(self);
        } else {
            self.step(&mut next, step);
        }
        Some(next)
    }
}

impl Action {
    fn is_fault(self) -> bool {
        match self {
            Self::Twice(_)
            | Self::Garbled(..)
            | Self::Decline(..)
            | Self::CallOff(_)
            | Self::Fail(_)
            | Self::Cut
            | Self::Crash(_)
            | Self::Again(_) => true,
            Self::Deliver(_)
            | Self::Stream(..)
            | Self::Decide(..)
            | Self::Timer(_)
            | Self::Restart(_)
            | Self::Forge(_)
            | Self::Revive(_) => false,
        }
    }
}

impl Model for SessionWorld {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        let steps = self.steps(world);
        let timely = |step: &&Action| world.facts.timers > 0 || !matches!(step, Action::Timer(_));
        actions.extend(steps.iter().filter(timely));
        if world.ends[0].is_none() && world.facts.connection == 0 {
            actions.extend([Action::Restart(false), Action::Restart(true)]);
        }
        if world.facts.faults > 0 {
            self.faults(world, &steps, actions);
        }
        self.planted(world, actions);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        next.facts.faults -= u8::from(action.is_fault());
        self.step(&mut next, action);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut all = properties::all();
        if self.timers > 0 {
            all.extend(properties::with_timers());
        }
        if self.faults > 0 && self.plant.is_none() {
            all.extend(properties::with_faults());
        }
        all
    }
}
