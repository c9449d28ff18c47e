//! One end: the real session, and a driver that decides when it likes.

use std::collections::BTreeSet;
use std::time::Duration;

use peerstream_session::{CommandError, Event, Session};
use peerstream_types::{ByteCount, FetchId, OfferId, Role, Timestamp};
use peerstream_wire::Code;
use peerstream_wire::message::ReleaseReason;

use super::parts;
use super::{Plant, Tasks};

/// How often a driver asks for the entry before it gives the offer up.
const ATTEMPTS: u32 = 2;

/// What a driver owes its session. It may come at any later moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Todo {
    /// Take the session, or refuse it.
    Decide,
    /// Say what is wanted and offered.
    Prepare,
    /// Answer that, or refuse all of it.
    Answer,
    /// Ask for the entry of the peer's offer.
    Fetch(OfferId),
    /// Send the entry, or say that it cannot be had.
    Serve(FetchId),
}

/// What a driver must not see: each is a flaw of the session, or of the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flaw {
    /// A command that was in its place was refused.
    Misuse,
    /// A correct peer is said to have broken the protocol.
    Breach,
    /// The end came twice, or something came after it.
    SecondEnd,
    /// The outcome changed after the end.
    Outcome,
}

/// One end of a session.
#[derive(Debug, Clone)]
pub struct End {
    /// The machine.
    pub session: Session,
    /// This node's clock. Clocks are independent: a timer may fire at any moment of the other end.
    pub now: Timestamp,
    /// Which connection it uses: a node that restarts dials again.
    pub connection: u8,
    /// What the driver owes.
    pub todo: BTreeSet<Todo>,
    /// The end of the stream was sent.
    pub closed: bool,
    /// The entry was asked for so often.
    tries: u32,
    ended: bool,
}

/// What follows from an input at one end.
#[derive(Debug, Default)]
pub(super) struct Follows {
    pub(super) flaw: Option<Flaw>,
    /// The peer's offer was given up or is stored.
    pub(super) settled: bool,
}

impl End {
    pub(super) fn initiator(incarnation: u64, connection: u8, keep_alive: Duration) -> Self {
        let (id, init) = (parts::id(Role::Initiator), parts::init(incarnation));
        Self::new(Session::initiate(Timestamp::ZERO, parts::config(keep_alive), id, init), connection)
    }

    pub(super) fn follower(connection: u8, keep_alive: Duration) -> Self {
        let id = parts::id(Role::Follower);
        Self::new(Session::follow(Timestamp::ZERO, parts::config(keep_alive), id), connection)
    }

    fn new(session: Session, connection: u8) -> Self {
        let (now, todo) = (Timestamp::ZERO, BTreeSet::new());
        Self { session, now, connection, todo, closed: false, tries: 0, ended: false }
    }

    /// Takes all events.
    pub(super) fn react(&mut self, plant: Option<Plant>, follows: &mut Follows) {
        while let Some(event) = self.session.poll_event() {
            if self.ended {
                follows.flaw = Some(Flaw::SecondEnd);
            }
            self.event(event, plant, follows);
        }
    }

    fn event(&mut self, event: Event, plant: Option<Plant>, follows: &mut Follows) {
        match event {
            Event::Init(_) => drop(self.todo.insert(Todo::Decide)),
            Event::Accepted(_) => drop(self.todo.insert(Todo::Prepare)),
            Event::Prepared { .. } => drop(self.todo.insert(Todo::Answer)),
            Event::Offered { offers, .. } => match offers.first() {
                Some(offer) => self.take(offer.offer, plant, follows),
                None => follows.settled = true,
            },
            Event::FetchRequested { request, .. } => drop(self.todo.insert(Todo::Serve(request))),
            Event::RequestFailed { .. } => self.again(follows),
            Event::Ended(_) => {
                self.ended = true;
                self.todo.clear();
            }
            Event::Attached
            | Event::Refused { .. }
            | Event::ListRequested { .. }
            | Event::TreeRequested { .. }
            | Event::RunRequested { .. }
            | Event::OutlineRequested { .. }
            | Event::Acknowledged { .. }
            | Event::Released { .. }
            | Event::GoAway { .. }
            | Event::Throttled { .. } => {}
        }
    }

    /// Takes an offer of the peer.
    fn take(&mut self, offer: OfferId, plant: Option<Plant>, follows: &mut Follows) {
        if plant == Some(Plant::Eager) {
            let released = self.session.release(self.now, offer, ReleaseReason::Done);
            return follows.note(released);
        }
        self.todo.insert(Todo::Fetch(offer));
    }

    /// The answer did not come: asks again, or gives the offer up.
    fn again(&mut self, follows: &mut Follows) {
        let offer = self.peers_offer();
        if self.tries < ATTEMPTS {
            self.todo.insert(Todo::Fetch(offer));
        } else {
            follows.settled = true;
            follows.note(self.session.release(self.now, offer, ReleaseReason::GivenUp));
        }
    }

    /// The offer that the peer makes, if it makes one.
    fn peers_offer(&self) -> OfferId {
        let index = if self.role() == Role::Initiator { parts::PULLED } else { parts::PUSHED };
        OfferId(index.into())
    }

    pub(super) fn role(&self) -> Role {
        self.session.id().role
    }

    /// Carries a decision out, for better or worse.
    pub(super) fn decide(&mut self, todo: Todo, yes: bool, tasks: Tasks, plant: Option<Plant>) -> Follows {
        let mut follows = Follows::default();
        let done = match todo {
            Todo::Decide if yes => self.session.accept(self.now, parts::ack(u64::from(self.connection))),
            Todo::Decide => self.session.refuse(self.now, Code::Busy, "as many as may be", None),
            Todo::Prepare => {
                let wanted = tasks.pull.then(|| parts::request(parts::PULLED));
                let offered = tasks.push.then(|| parts::offer(parts::PUSHED));
                let (wanted, offered) = (wanted.into_iter().collect(), offered.into_iter().collect());
                self.session.prepare(self.now, wanted, offered)
            }
            Todo::Answer => self.answer(yes, tasks, plant, &mut follows),
            Todo::Fetch(offer) => {
                self.tries += 1;
                self.session.fetch(self.now, offer, vec![parts::entry()], self.tries).map(drop)
            }
            Todo::Serve(request) if yes => self.session.served(self.now, request),
            Todo::Serve(request) => {
                self.session.request_failed(self.now, request, Vec::new(), Code::Changed, "gone")
            }
        };
        follows.note(done);
        if plant != Some(Plant::Twofold) {
            self.todo.remove(&todo);
        }
        follows
    }

    fn answer(
        &mut self,
        yes: bool,
        tasks: Tasks,
        plant: Option<Plant>,
        follows: &mut Follows,
    ) -> Result<(), CommandError> {
        if !yes {
            follows.settled = true;
            let wanted = tasks.pull.then(|| parts::refusal(parts::PULLED));
            let offered = tasks.push.then(|| parts::refusal(parts::PUSHED));
            let (wanted, offered) = (wanted.into_iter().collect(), offered.into_iter().collect());
            return self.session.answer(self.now, Vec::new(), wanted, offered);
        }
        let held = tasks.pull.then(|| parts::offer(parts::PULLED));
        self.session.answer(self.now, held.into_iter().collect(), Vec::new(), Vec::new())?;
        if tasks.push {
            self.take(OfferId(parts::PUSHED.into()), plant, follows);
        } else {
            follows.settled = true;
        }
        Ok(())
    }

    /// A data stream has come: with the entry, or with something that is not it.
    pub(super) fn stream(&mut self, request: FetchId, good: bool) -> Follows {
        let mut follows = Follows::default();
        let Some(offer) = self.session.offer_of(request) else { return follows };
        follows.note(self.session.request_done(self.now, request));
        if good {
            follows.settled = true;
            // No bytes are counted: counters are no part of a state, and must not travel in Complete.
            follows.note(self.session.received(self.now, offer, vec![parts::entry()], ByteCount(0)));
            follows.note(self.session.release(self.now, offer, ReleaseReason::Done));
        } else {
            self.again(&mut follows);
        }
        follows
    }
}

impl Follows {
    pub(super) fn note(&mut self, done: Result<(), CommandError>) {
        if done.is_err_and(|error| !error.is_ended()) {
            self.flaw = Some(Flaw::Misuse);
        }
    }
}
