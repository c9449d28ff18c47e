//! The session: its parts, its outputs, and how it moves from state to state.

mod ending;
mod handshake;
mod messages;
mod transfer;

use std::collections::VecDeque;

use peerstream_types::{FetchId, OfferId, Role, SessionId, Timestamp};
use peerstream_wire::message::{CompleteV1, InitAckV1, InitV1, Preview};
use peerstream_wire::{Code, Extensions, Message};

use crate::config::{Config, TRANSMIT_MAX};
use crate::error::{CommandError, SessionError};
use crate::event::{By, Event, Outcome};
use crate::input::Input;
use crate::offers::Offers;
use crate::prepare::Table;
use crate::requests::{Asked, Serving};
use crate::state::{self, Next, State};
use crate::stats::Stats;
use crate::timer::Timers;
use crate::visited::Visited;

/// One session between two nodes: both roles, both directions.
///
/// Feed it what happens (`handle_*`) and what the driver wants (the commands). After each input, and
/// after the constructor, drain in this order until all are empty:
///
/// 1. [`poll_transmit`](Self::poll_transmit): send these on the control stream, in order;
/// 2. [`poll_timeout`](Self::poll_timeout): arm one timer, call
///    [`handle_timeout`](Self::handle_timeout) when it fires;
/// 3. [`poll_event`](Self::poll_event): act on these.
///
/// A command that returns an error has changed nothing. No input panics. Bulk bytes never pass
/// through: the driver moves them and says what became of them (row C10).
///
/// The session is over with [`Event::Ended`]. What is still to be transmitted then should be sent,
/// nothing more has to be read (row C14).
#[derive(Debug, Clone)]
pub struct Session {
    id: SessionId,
    config: Config,
    state: State,
    init: Option<InitV1>,
    ack: Option<InitAckV1>,
    table: Table,
    offers: Offers,
    asked: Asked,
    serving: Serving,
    timers: Timers,
    transmit: VecDeque<Message>,
    events: VecDeque<Event>,
    stats: Stats,
    visited: Visited,
    peer_summary: Option<CompleteV1>,
    outcome: Option<Outcome>,
}

impl Session {
    /// Opens a session as initiator. The first [`poll_transmit`](Self::poll_transmit) gives Init. Plan
    /// and index of `init`, and the role, are those of `id`.
    pub fn initiate(now: Timestamp, config: Config, id: SessionId, init: InitV1) -> Self {
        let init = InitV1 { plan: id.plan, index: id.index, ..init };
        let mut session = Self::new(now, config, SessionId { role: Role::Initiator, ..id });
        session.send(now, Message::Init(init.clone()));
        session.init = Some(init);
        session
    }

    /// Follows a session for an Init that arrived and is unknown here; feed it with
    /// [`handle_message`](Self::handle_message) at once. Sessions are created by Init only (row C04).
    pub fn follow(now: Timestamp, config: Config, id: SessionId) -> Self {
        Self::new(now, config, SessionId { role: Role::Follower, ..id })
    }

    fn new(now: Timestamp, config: Config, id: SessionId) -> Self {
        Self {
            id,
            state: State::Init,
            init: None,
            ack: None,
            table: Table::default(),
            offers: Offers::default(),
            asked: Asked::new(config.requests_in_flight_max),
            serving: Serving::new(config.requests_served_max),
            timers: Timers::new(now, &config),
            transmit: VecDeque::new(),
            events: VecDeque::new(),
            stats: Stats::default(),
            visited: Visited::default(),
            peer_summary: None,
            outcome: None,
            config,
        }
    }

    /// The next message for the peer.
    pub fn poll_transmit(&mut self) -> Option<Message> {
        self.transmit.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called; `None` after the end.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.timers.next()
    }

    /// The next event for the driver.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The session's name at this node.
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    /// Where the session is.
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether data stays where it is: offers are exchanged and the session completes.
    pub fn is_preview(&self) -> bool {
        self.init.as_ref().is_some_and(|init| init.preview == Preview::On)
    }

    /// The Init that opened the session, once it is known.
    pub fn init(&self) -> Option<&InitV1> {
        self.init.as_ref()
    }

    /// The follower's `InitAck`, once it is known.
    pub fn init_ack(&self) -> Option<&InitAckV1> {
        self.ack.as_ref()
    }

    /// Whether a data stream that answers this own request is still wanted. If not, it is late or a
    /// duplicate: discard all of it and say how much it was with [`wasted`](Self::wasted) (row C18).
    pub fn is_outstanding(&self, request: FetchId) -> bool {
        self.offer_of(request).is_some()
    }

    /// The offer that an outstanding own request is about.
    pub fn offer_of(&self, request: FetchId) -> Option<OfferId> {
        self.asked.offer_of(request).filter(|_| !self.state.is_final())
    }

    /// Whether a request of the peer still waits for its data stream. If not, stop writing it.
    pub fn is_serving(&self, request: FetchId) -> bool {
        !self.state.is_final() && self.serving.contains(request)
    }

    /// How many own requests are outstanding, and how many of the peer's are being served.
    pub fn under_way(&self) -> (usize, usize) {
        (self.asked.len(), self.serving.len())
    }

    /// The counters.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Which inputs met which state so far.
    pub fn visited(&self) -> &Visited {
        &self.visited
    }

    /// The peer's own counters, from its Complete.
    pub fn peer_summary(&self) -> Option<&CompleteV1> {
        self.peer_summary.as_ref()
    }

    /// How the session ended, once it has.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// What an input does here; it is noted.
    fn next(&mut self, input: Input) -> Next {
        self.visited.take(self.id.role, self.state, input);
        state::next(self.id.role, self.state, input)
    }

    /// Whether the driver may give a command now.
    fn permit(&mut self, command: &'static str, input: Input) -> Result<(), CommandError> {
        match self.next(input) {
            Next::To(_) | Next::Stay | Next::Ignore => Ok(()),
            Next::Misuse | Next::Breach | Next::Refuse if self.state.is_final() => {
                Err(CommandError::Ended(self.state))
            }
            Next::Misuse | Next::Breach | Next::Refuse => {
                Err(CommandError::WrongState { command, role: self.id.role, state: self.state })
            }
        }
    }

    /// Whether `count` more messages may wait.
    fn room_for(&self, count: usize) -> Result<(), CommandError> {
        if self.transmit.len() + count > TRANSMIT_MAX {
            return Err(CommandError::TransmitFull(count));
        }
        Ok(())
    }

    fn send(&mut self, now: Timestamp, message: Message) {
        self.timers.said(now);
        self.stats.messages_sent += 1;
        self.transmit.push_back(message);
    }

    /// Queues an answer that the peer made us give.
    fn reply(&mut self, now: Timestamp, message: Message) -> Result<(), SessionError> {
        self.room_for(1).map_err(|_| SessionError::Flood)?;
        self.send(now, message);
        Ok(())
    }

    /// Moves as the table says. Ends are reached through [`Self::end`].
    fn advance(&mut self, now: Timestamp, input: Input) {
        if let Next::To(state) = self.next(input) {
            self.state = state;
            self.timers.enter(now, state, &self.config);
        }
    }

    /// Moves to a final state, if the table says that `input` leads to one; the first end sticks (row
    /// C17b).
    fn end(&mut self, now: Timestamp, input: Input, by: By, why: Option<(Code, String)>) {
        self.advance(now, input);
        if !self.state.is_final() || self.outcome.is_some() {
            return;
        }
        let (code, reason) = why.map_or((None, String::new()), |(code, reason)| (Some(code), reason));
        let outcome = Outcome { state: self.state, by, code, reason };
        self.outcome = Some(outcome.clone());
        self.events.push_back(Event::Ended(outcome));
    }

    /// Does what follows by itself: when nothing is left to move, this end's part is done (row C14).
    fn settle(&mut self, now: Timestamp) {
        let done = self.is_preview() || self.offers.all_released();
        if self.state != State::Stream || !done {
            return;
        }
        let summary = CompleteV1 {
            bytes_sent: self.stats.sent.0,
            bytes_stored: self.stats.stored.0,
            bytes_wasted: self.stats.wasted.0,
            extensions: Extensions::default(),
        };
        self.send(now, Message::Complete(summary));
        let input = if self.peer_summary.is_some() { Input::OwnDoneLast } else { Input::OwnDone };
        self.end(now, input, By::Local, None);
    }
}
