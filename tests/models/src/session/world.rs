//! Two nodes and what is under way between them.

use std::collections::{BTreeSet, VecDeque};

use peerstream_session::{Outcome, Session};
use peerstream_types::{FetchId, Role, Timestamp};
use peerstream_wire::message::{InitV1, RefuseV1};
use peerstream_wire::{Code, Message};

use super::end::{End, Flaw, Follows, Todo};
use super::{SessionWorld, parts};
use crate::kept::Kept;

/// What travels on a control stream.
#[derive(Debug, Clone)]
pub enum What {
    /// A message of the stream's connection.
    Message(Message),
    /// The first message of another control stream.
    Opening(InitV1),
    /// The stream or its connection ended.
    Closed,
}

/// What is on its way to one end.
#[derive(Debug, Clone, Default)]
pub struct Link {
    /// In order, with the connection that each item belongs to.
    pub control: VecDeque<(u8, What)>,
    /// Data streams, in any order.
    pub streams: BTreeSet<(u8, FetchId)>,
}

/// What is known about a world beside its machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Facts {
    /// The connection in use, and whether it is there.
    pub connection: u8,
    /// Whether anything that is sent can arrive.
    pub connected: bool,
    /// Faults that may still happen.
    pub faults: u8,
    /// Timers that may still fire; `u8::MAX` for any number.
    pub timers: u8,
    /// Init was sent again.
    pub again: bool,
    /// A message was delivered twice: its receiver may call that a breach.
    pub twice: bool,
    /// Each end of this connection has sent Complete.
    pub said_complete: [bool; 2],
    /// Each end of this connection has stored, refused or given up what it was offered.
    pub settled: [bool; 2],
    /// Something that must not be.
    pub flaw: Option<Flaw>,
}

/// A state.
#[derive(Debug, Clone, PartialEq, Hash)]
pub struct World {
    /// The initiator and the follower; `None` if there is no session at the node.
    pub ends: [Option<Kept<End>>; 2],
    /// What is on its way to each.
    pub links: [Kept<Link>; 2],
    /// The rest.
    pub facts: Facts,
}

impl World {
    /// The initiator has opened a session; the follower has not heard of it.
    pub(super) fn new(model: &SessionWorld) -> Self {
        let facts = Facts {
            connection: 0,
            connected: true,
            faults: model.faults,
            timers: model.timers,
            again: false,
            twice: false,
            said_complete: [false; 2],
            settled: [!model.tasks.pull, !model.tasks.push],
            flaw: None,
        };
        let links = [(); 2].map(|()| Kept::new(Link::default(), Timestamp::ZERO));
        let mut world = Self { ends: [None, None], links, facts };
        let end = End::initiator(1, 0, model.keep_alive);
        world.put(model, 0, end, Follows::default());
        world
    }

    /// The session of an end.
    pub fn session(&self, end: usize) -> Option<&Session> {
        self.ends[end].as_ref().map(|end| &end.get().session)
    }

    /// How an end's session ended.
    pub fn outcome(&self, end: usize) -> Option<&Outcome> {
        self.session(end).and_then(Session::outcome)
    }

    /// Gives an end an input, and carries out what follows.
    pub(super) fn input(
        &mut self,
        model: &SessionWorld,
        to: usize,
        give: impl FnOnce(&mut End, &mut Follows),
    ) {
        let Some(kept) = &self.ends[to] else { return };
        let (mut end, mut follows) = (kept.edit(), Follows::default());
        let before = end.session.outcome().cloned();
        give(&mut end, &mut follows);
        if before.is_some() && before.as_ref() != end.session.outcome() {
            follows.flaw = Some(Flaw::Outcome);
        }
        self.put(model, to, end, follows);
    }

    /// Puts an end back after an input: its messages leave, its driver takes the events.
    fn put(&mut self, model: &SessionWorld, at: usize, mut end: End, mut follows: Follows) {
        let mut out = Vec::new();
        loop {
            let before = out.len();
            end.react(model.plant, &mut follows);
            out.extend(std::iter::from_fn(|| end.session.poll_transmit()).map(What::Message));
            if out.len() == before {
                break;
            }
        }
        let current = end.connection == self.facts.connection;
        let completes = out.iter().any(|what| matches!(what, What::Message(Message::Complete(_))));
        self.facts.said_complete[at] |= current && completes;
        self.facts.settled[at] |= current && follows.settled;
        self.facts.flaw = self.facts.flaw.or(follows.flaw);
        if end.session.state().is_final() && !end.closed {
            end.closed = true;
            out.push(What::Closed);
        }
        if current && self.facts.connected && !out.is_empty() {
            let connection = end.connection;
            self.link(1 - at, |link| link.control.extend(out.into_iter().map(|what| (connection, what))));
        }
        let now = end.now;
        self.ends[at] = Some(Kept::new(end, now));
    }

    /// Changes what is on its way to an end.
    pub(super) fn link(&mut self, to: usize, change: impl FnOnce(&mut Link)) {
        let mut link = self.links[to].edit();
        change(&mut link);
        self.links[to] = Kept::new(link, Timestamp::ZERO);
    }

    /// Delivers the next item of a control stream, and again if it is to come `twice`.
    pub(super) fn deliver(&mut self, model: &SessionWorld, to: usize, twice: bool) {
        let Some((connection, what)) = self.links[to].get().control.front().cloned() else { return };
        if twice {
            self.facts.twice = model.plant != Some(super::Plant::Unexcused);
        } else {
            self.link(to, |link| drop(link.control.pop_front()));
        }
        let follower_is_there = self.ends[1].is_some();
        match what {
            What::Message(Message::Init(init)) if to == 1 && !follower_is_there => {
                self.follow(model, connection, init);
            }
            What::Opening(init) => self.opening(model, connection, init),
            What::Message(message) if self.is_of(to, connection) => self.message(model, to, message),
            What::Closed if self.is_of(to, connection) => self.input(model, to, |end, _| {
                end.session.handle_disconnect(end.now, "the stream ended".to_owned());
            }),
            // Of a connection that this process does not have.
            What::Message(_) | What::Closed => {}
        }
    }

    fn is_of(&self, end: usize, connection: u8) -> bool {
        self.ends[end].as_ref().is_some_and(|end| end.get().connection == connection)
    }

    fn message(&mut self, model: &SessionWorld, to: usize, mut message: Message) {
        if let Message::Abort(abort) = &mut message
            && model.plant == Some(super::Plant::Mislabel)
            && abort.code == Code::Aborted
        {
            abort.code = Code::Full;
        }
        let excused = self.facts.twice;
        self.input(model, to, |end, follows| {
            if end.session.handle_message(end.now, message).is_err() && !excused {
                follows.flaw = Some(Flaw::Breach);
            }
        });
    }

    /// A session for an Init that is not known at the follower.
    fn follow(&mut self, model: &SessionWorld, connection: u8, init: InitV1) {
        self.ends[1] = Some(Kept::new(End::follower(connection, model.keep_alive), Timestamp::ZERO));
        self.message(model, 1, Message::Init(init));
    }

    /// Another control stream has come to the follower.
    fn opening(&mut self, model: &SessionWorld, connection: u8, init: InitV1) {
        let known = self.session(1).is_some_and(|session| {
            let same = session.init().is_some_and(|first| first.incarnation == init.incarnation);
            !session.state().is_final() || same
        });
        if !known {
            return self.follow(model, connection, init);
        }
        let mut refusal: Option<RefuseV1> = None;
        self.input(model, 1, |end, _| match end.session.attach(end.now, &init) {
            Ok(()) => end.connection = connection,
            Err(refuse) => refusal = Some(refuse),
        });
        if let Some(refuse) = refusal.filter(|_| self.facts.connected && self.facts.connection == connection)
        {
            let item = (connection, What::Message(Message::Refuse(refuse)));
            self.link(0, |link| link.control.push_back(item));
        }
    }

    /// The connection goes, with all that is on its way; both ends hear of it at some time.
    pub(super) fn cut(&mut self) {
        let connection = self.facts.connection;
        self.facts.connected = false;
        for to in 0..2 {
            self.link(to, |link| {
                *link = Link::default();
                link.control.push_back((connection, What::Closed));
            });
        }
    }

    /// A process goes. What it has sent may still arrive; the other end hears of it at some time.
    pub(super) fn crash(&mut self, at: usize) {
        let (connection, connected) = (self.facts.connection, self.facts.connected);
        self.facts.connected = false;
        self.ends[at] = None;
        self.link(at, |link| *link = Link::default());
        if connected {
            self.link(1 - at, |link| link.control.push_back((connection, What::Closed)));
        }
    }

    /// The initiator's process comes back and opens its session anew. Its Init may overtake what is
    /// left of the connection before.
    pub(super) fn restart(&mut self, model: &SessionWorld, overtakes: bool) {
        self.facts.connection += 1;
        self.facts.connected = true;
        self.facts.said_complete = [false; 2];
        self.facts.settled = [!model.tasks.pull, !model.tasks.push];
        self.link(1, |link| link.streams.clear());
        let before = self.links[1].clone();
        self.links[1] = Kept::new(Link::default(), Timestamp::ZERO);
        let connection = self.facts.connection;
        let end = End::initiator(1 + u64::from(connection), connection, model.keep_alive);
        self.put(model, 0, end, Follows::default());
        let sent: Vec<(u8, What)> = self.links[1].get().control.iter().cloned().map(opened).collect();
        self.links[1] = before;
        self.link(1, |link| {
            for item in sent {
                if overtakes { link.control.push_front(item) } else { link.control.push_back(item) }
            }
        });
    }

    /// The initiator sends its Init again, on another stream; the first one and its answer may be lost.
    /// Without a connection it dials another one.
    pub(super) fn again(&mut self, lost: bool) {
        let Some(mut end) = self.ends[0].as_ref().map(Kept::edit) else { return };
        let Some(init) = end.session.init().cloned() else { return };
        self.facts.again = true;
        if lost {
            (0..2).for_each(|to| self.link(to, |link| link.control.clear()));
        }
        if !self.facts.connected {
            self.facts.connection += 1;
            self.facts.connected = true;
            end.connection = self.facts.connection;
            let now = end.now;
            self.ends[0] = Some(Kept::new(end, now));
        }
        let item = (self.facts.connection, What::Opening(init));
        self.link(1, |link| link.control.push_back(item));
    }

    /// A data stream arrives.
    pub(super) fn stream(&mut self, model: &SessionWorld, to: usize, request: FetchId, good: bool) {
        let Some(connection) = self.ends[to].as_ref().map(|end| end.get().connection) else { return };
        self.link(to, |link| {
            link.streams.remove(&(connection, request));
        });
        self.input(model, to, |end, follows| *follows = end.stream(request, good));
    }

    /// A driver decides.
    pub(super) fn decide(&mut self, model: &SessionWorld, at: usize, todo: Todo, yes: bool) {
        if let (Todo::Serve(request), true) = (todo, yes && self.facts.connected) {
            let served = self.ends[at].as_ref().filter(|end| end.get().session.is_serving(request));
            if let Some(connection) = served.map(|end| end.get().connection) {
                self.link(1 - at, |link| {
                    link.streams.insert((connection, request));
                });
            }
        }
        self.input(model, at, |end, follows| {
            *follows = end.decide(todo, yes, model.tasks, model.plant);
        });
    }

    /// The clock of an end goes to its next timer.
    pub(super) fn timer(&mut self, model: &SessionWorld, at: usize) {
        if self.facts.timers != u8::MAX {
            self.facts.timers = self.facts.timers.saturating_sub(1);
        }
        self.input(model, at, |end, _| {
            end.now = end.session.poll_timeout().map_or(end.now, |due| end.now.max(due));
            end.session.handle_timeout(end.now);
        });
    }

    /// The clocks of both ends go on to the next timer of either.
    pub(super) fn both_clocks(&mut self, model: &SessionWorld) {
        let left = |end: &Kept<End>| Some(end.get().session.poll_timeout()? - end.get().now);
        let Some(left) = self.ends.iter().flatten().filter_map(left).min() else { return };
        for at in 0..2 {
            self.input(model, at, |end, _| {
                end.now = end.now + left;
                end.session.handle_timeout(end.now);
            });
        }
    }

    /// A driver ends its session.
    pub(super) fn abort(&mut self, model: &SessionWorld, at: usize, code: Code) {
        self.input(model, at, |end, follows| follows.note(end.session.abort(end.now, code, "told to")));
    }

    /// A driver forgets that its session has ended.
    pub(super) fn revive(&mut self, model: &SessionWorld, at: usize) {
        self.input(model, at, |end, _| *end = End::follower(end.connection, model.keep_alive));
    }

    /// What a lying network says for the peer: all is released, all is done.
    pub(super) fn forge(&mut self, model: &SessionWorld, to: usize) {
        use peerstream_wire::message::{CompleteV1, ReleaseReason, ReleaseV1};
        use peerstream_wire::{Bounded, Extensions};
        let role = if to == 0 { Role::Initiator } else { Role::Follower };
        let index = if role == Role::Initiator { parts::PUSHED } else { parts::PULLED };
        let (spans, reason) = (Bounded::new(), ReleaseReason::Done);
        let offer = peerstream_types::OfferId(index.into());
        self.message(model, to, Message::Release(ReleaseV1 { offer, spans, reason }));
        let extensions = Extensions::default();
        self.message(model, to, Message::Complete(CompleteV1 { extensions, ..CompleteV1::default() }));
    }
}

/// The Init of a new connection.
fn opened((connection, what): (u8, What)) -> (u8, What) {
    if let What::Message(Message::Init(init)) = what {
        return (connection, What::Opening(init));
    }
    (connection, what)
}
