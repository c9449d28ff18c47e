//! The task of one session: one pure state machine, its control stream, its timer.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use peerstream_session::{CommandError, Session, State};
use peerstream_shape::Class;
use peerstream_transport::PeerIdentity;
use peerstream_types::{ByteCount, FetchId};
use peerstream_wire::message::InitV1;
use peerstream_wire::{Code, Message};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tracing::{Instrument, debug, info_span, warn};

use super::acks::{Acks, Unsent};
use super::events::Side;
use super::handle::Counted;
use super::{Command, Leases, Request, Routes, SessionEnd, SessionHandle, Wanted};
use crate::io::{ControlInput, ControlStream};
use crate::plan::PlanRecord;
use crate::plans::PlanKey;
use crate::regards::Incident;
use crate::session::{Ask, Outgoing};
use crate::shared::Shared;
use crate::watch;

/// Commands that may wait for a session's task.
const COMMANDS_MAX: usize = 256;
/// How long the last messages may take to reach the peer.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// The task of one session.
pub(crate) struct Driver {
    pub(super) shared: Arc<Shared>,
    pub(super) session: Session,
    pub(super) peer: PeerIdentity,
    pub(super) class: Class,
    pub(super) handle: SessionHandle,
    pub(super) leases: Arc<Leases>,
    pub(super) side: Side,
    /// Answers under way; they end with the session.
    pub(super) serving: JoinSet<()>,
    control: Option<ControlStream>,
    commands: mpsc::Receiver<Command>,
    ended: watch::Sender<Option<SessionEnd>>,
    abort: watch::Receiver<Option<String>>,
    acks: Acks,
    /// What is asked of the peer once it allows more. Those who ask wait, so it is bounded by them.
    asks: VecDeque<(Ask, oneshot::Sender<Result<Request, String>>)>,
    /// How the session ended, in words.
    pub(super) outcome: Option<String>,
}

impl Driver {
    pub(crate) fn new(
        shared: Arc<Shared>,
        session: Session,
        peer: PeerIdentity,
        class: Class,
        control: Option<ControlStream>,
        abort: watch::Receiver<Option<String>>,
        incident: Incident,
    ) -> (Self, SessionHandle) {
        let (send, commands) = mpsc::channel(COMMANDS_MAX);
        let (ended, watching) = watch::channel(None);
        let id = session.id().clone();
        let handle = SessionHandle {
            id,
            commands: send,
            routes: Arc::new(Routes::default()),
            ended: watching,
            abort: abort.clone(),
            counted: Arc::new(Counted::default()),
            incident,
        };
        let driver = Self {
            shared,
            session,
            peer,
            class,
            handle: handle.clone(),
            leases: Arc::new(Leases::default()),
            side: Side::Idle,
            serving: JoinSet::new(),
            control,
            commands,
            ended,
            abort,
            acks: Acks::default(),
            asks: VecDeque::new(),
            outcome: None,
        };
        (driver, handle)
    }

    /// This end opened the session.
    pub(crate) fn initiating(mut self, wanted: Vec<Wanted>, outgoing: Vec<Outgoing>) -> Self {
        let requests = wanted.iter().map(|wanted| wanted.request.clone()).collect();
        let offers = outgoing.iter().map(|outgoing| outgoing.offer.clone()).collect();
        let mut refusals = Vec::new();
        for Outgoing { offer, lease, refused } in outgoing {
            self.leases.insert(offer.offer, lease);
            refusals.push((offer.shard, offer.selector, offer.offer, refused));
        }
        self.side = Side::Initiator { prepare: Some((requests, offers)), wanted, refusals };
        self
    }

    /// The peer opened the session; it is turned away if it was not admitted.
    pub(crate) fn following(mut self, record: PlanRecord, admitted: Result<PlanKey, (Code, String)>) -> Self {
        self.side = Side::Follower { record, admitted: Some(admitted), key: None };
        self
    }

    /// Drives the session to its end.
    pub(crate) async fn run(mut self) {
        let id = &self.handle.id;
        let span = info_span!("session", plan = %id.plan, peer = %id.peer, index = id.index, role = %id.role);
        async move {
            while self.step().await {}
            self.close().await;
        }
        .instrument(span)
        .await;
    }

    /// Drains the machine, then waits for one input; `false` once the session has ended.
    async fn step(&mut self) -> bool {
        self.drain();
        if self.session.state().is_final() {
            return false;
        }
        let timeout = self.session.poll_timeout().into_iter().chain(self.acks.due()).min();
        let control = async {
            match &mut self.control {
                Some(control) => control.drive().await,
                None => ControlInput::Closed("there is no control stream".to_owned()),
            }
        };
        let woken = tokio::select! {
            biased;
            // First of all: the jobs that stop by the same signal must not let the session complete.
            Some(reason) = called_off(&self.abort) => Woken::CalledOff(reason),
            Some(command) = self.commands.recv() => Woken::Command(command),
            input = control => Woken::Input(input),
            () = self.shared.clock.sleep_until(timeout) => Woken::Timeout,
            Some(_) = self.serving.join_next() => Woken::Served,
        };
        let now = self.shared.clock.now();
        self.count();
        match woken {
            Woken::Command(command) => self.command(command),
            Woken::CalledOff(reason) => note(self.session.abort(now, Code::Aborted, &reason)),
            Woken::Input(input) => self.input(input),
            Woken::Timeout => self.session.handle_timeout(now),
            Woken::Served => {}
        }
        true
    }

    /// Empties the machine's outputs: messages, then events, until there are none.
    fn drain(&mut self) {
        if self.acks.due().is_some_and(|due| due <= self.shared.clock.now()) {
            self.flush_acks();
        }
        self.ask_waiting();
        loop {
            while self.control.as_ref().is_some_and(ControlStream::has_room) {
                let Some(message) = self.session.poll_transmit() else { break };
                let control = self.control.as_mut().expect("checked by the loop's condition");
                if let Err(error) = control.queue(&message) {
                    let _ = self.session.abort(self.shared.clock.now(), Code::Internal, &error.to_string());
                }
            }
            match self.session.poll_event() {
                Some(event) => self.event(event),
                None => return,
            }
        }
    }

    fn input(&mut self, input: ControlInput) {
        let now = self.shared.clock.now();
        match input {
            ControlInput::Message(message) => {
                let name = message.name();
                if let Err(error) = self.session.handle_message(now, message) {
                    debug!(message = name, %error, "the peer broke the protocol");
                }
            }
            // The next drain goes on where it stopped.
            ControlInput::Room => {}
            ControlInput::Garbage(why) => {
                debug!(%why, "the peer broke the protocol");
                note(self.session.abort(now, Code::Protocol, &why));
            }
            ControlInput::Closed(reason) => {
                self.control = None;
                self.session.handle_disconnect(now, reason);
            }
        }
    }

    fn command(&mut self, command: Command) {
        let now = self.shared.clock.now();
        let done = match command {
            Command::Ask { ask, reply } => return self.asks.push_back((ask, reply)),
            Command::Done(request) => self.session.request_done(now, request),
            Command::Served(request) => self.session.served(now, request),
            Command::CannotServe { request, code, reason } => {
                self.session.request_failed(now, request, Vec::new(), code, &reason)
            }
            Command::Answer { offers, refused_requests, refused_offers } => {
                let answered = self.session.answer(now, offers, refused_requests, refused_offers);
                return self.or_abort(answered);
            }
            Command::Received { offer, spans, bytes } => return self.acks.add(now, offer, spans, bytes),
            Command::Release { offer, reason } => {
                self.flush_acks();
                self.session.release(now, offer, reason)
            }
            Command::Attach { control, init } => return self.attach(control, &init),
        };
        note(done);
    }

    /// Without this step the peer would wait for ever: the session ends with the reason.
    pub(super) fn or_abort(&mut self, result: Result<(), CommandError>) {
        if let Err(error) = result {
            warn!(%error, "a step of the session was not possible");
            let _ = self.session.abort(self.shared.clock.now(), Code::Internal, &error.to_string());
        }
    }

    /// Tells the peer what was stored. What finds no room waits for the next time.
    fn flush_acks(&mut self) {
        let now = self.shared.clock.now();
        while let Some((offer, unsent)) = self.acks.take() {
            let Unsent { spans, bytes } = &unsent;
            match self.session.received(now, offer, spans.clone(), ByteCount(*bytes)) {
                Err(CommandError::TransmitFull(_)) => return self.acks.put_back(now, offer, unsent),
                result => note(result),
            }
        }
    }

    /// Takes over what was counted beside the commands. Before each input, so that whatever follows
    /// from the input has it in its summary.
    fn count(&mut self) {
        let now = self.shared.clock.now();
        let (sent, wasted) = self.handle.counted.take();
        if sent > 0 {
            note(self.session.sent(now, ByteCount(sent)));
        }
        if wasted > 0 {
            note(self.session.wasted(now, ByteCount(wasted)));
        }
    }

    /// Goes on with the session on another control stream, or refuses it there.
    fn attach(&mut self, mut control: ControlStream, init: &InitV1) {
        match self.session.attach(self.shared.clock.now(), init) {
            Ok(()) => self.control = Some(control),
            Err(refusal) => {
                if control.queue(&Message::Refuse(refusal)).is_ok() {
                    tokio::spawn(tokio::time::timeout(FLUSH_TIMEOUT, control.finish()));
                }
            }
        }
    }

    /// Asks what waits, as far as the peer allows: a full window is no fault of anyone, the next
    /// answer makes room.
    fn ask_waiting(&mut self) {
        while let Some((ask, reply)) = self.asks.pop_front() {
            if reply.is_closed() {
                continue;
            }
            match self.ask(&ask) {
                Err(CommandError::WindowFull(_) | CommandError::TransmitFull(_)) => {
                    return self.asks.push_front((ask, reply));
                }
                Err(error) => drop(reply.send(Err(error.to_string()))),
                Ok(id) => {
                    // Whoever does not wait any more gives it up by dropping it.
                    drop(reply.send(Ok(Request::new(self.handle.clone(), id))));
                }
            }
        }
    }

    fn ask(&mut self, ask: &Ask) -> Result<FetchId, CommandError> {
        let now = self.shared.clock.now();
        match ask.clone() {
            Ask::List { offer, token } => self.session.list(now, offer, token, 1),
            Ask::Tree { offer, level, range } => {
                self.session.tree(now, offer, level, (range.start, range.end))
            }
            Ask::Run { offer, first, count } => self.session.run(now, offer, first, count),
            Ask::Outline { offer, ordinal, level, range } => {
                self.session.outline(now, offer, ordinal, level, range)
            }
            Ask::Fetch { offer, spans, attempt } => self.session.fetch(now, offer, spans, attempt),
        }
    }

    /// Tells everyone, then the peer: the last messages are flushed after the session has its state,
    /// so that nothing depends on the connection being open (row C14).
    async fn close(mut self) {
        self.count();
        self.drain();
        self.shared.visited(|visited| visited.session(self.session.visited()));
        let reason = self.outcome.take().unwrap_or_else(|| "ended".to_owned());
        debug!(%reason, "session ended");
        let end = SessionEnd { called_off: self.session.state() == State::Aborted, reason };
        self.serving.abort_all();
        self.finish_side(&end);
        self.handle.routes.close();
        self.ended.send_replace(Some(end));
        // Nobody may wait for a task that only flushes.
        self.asks.clear();
        self.commands.close();
        while self.commands.try_recv().is_ok() {}
        if let Some(control) = self.control.take() {
            let _ = tokio::time::timeout(FLUSH_TIMEOUT, control.finish()).await;
        }
        self.shared.sessions.remove(&self.handle);
        self.shared.room.session_ended(&self.handle.id.peer, self.shared.clock.now());
    }
}

/// What a session's task waits for.
enum Woken {
    Command(Command),
    CalledOff(String),
    Input(ControlInput),
    Timeout,
    Served,
}

/// A command that came too late for the session's state is no fault of anyone.
fn note(result: Result<(), CommandError>) {
    if let Err(error) = result {
        debug!(%error, "a command was not carried out");
    }
}

/// Waits until the plan is called off; `None` if it never will be. Cancel safe.
async fn called_off(abort: &watch::Receiver<Option<String>>) -> Option<String> {
    abort.wait_for(Option::is_some).await.ok()?
}
