//! What comes from the peer: each message to its place.

use peerstream_types::{ByteCount, Timestamp};
use peerstream_wire::message::{AbortV1, CompleteV1, GoAwayV1};
use peerstream_wire::{Code, Message};

use super::Session;
use super::handshake::wait;
use super::transfer::Ask;
use crate::error::SessionError;
use crate::event::{By, Event};
use crate::input::Input;
use crate::state::Next;

impl Session {
    /// Takes a message of the peer, in the order in which they came on the control stream. After the
    /// end, messages are counted and dropped (row C15).
    ///
    /// # Errors
    ///
    /// [`SessionError`] if the message breaks the protocol: the session is [`State::Failed`](crate::State::Failed) now and
    /// an Abort that says why is queued for the peer.
    pub fn handle_message(&mut self, now: Timestamp, message: Message) -> Result<(), SessionError> {
        self.stats.messages_received += 1;
        self.timers.heard(now);
        let name = message.name();
        let input = self.input_of(&message);
        let taken = match self.next(input) {
            Next::To(_) | Next::Stay => self.take(now, input, message),
            Next::Ignore => {
                self.stats.duplicates_ignored += u64::from(input == Input::InitAckAgain);
                return Ok(());
            }
            Next::Refuse => {
                self.stats.messages_refused += 1;
                return Ok(());
            }
            Next::Breach | Next::Misuse => {
                Err(SessionError::Unexpected { message: name, role: self.id.role, state: self.state })
            }
        };
        match taken {
            Ok(()) => self.settle(now),
            Err(ref error) => self.breach(now, error),
        }
        taken
    }

    /// What a message is to the table.
    fn input_of(&self, message: &Message) -> Input {
        let moving = |input| if self.is_preview() { Input::PreviewTraffic } else { input };
        match message {
            Message::Init(_) if self.init.is_some() => Input::InitAgain,
            Message::Init(_) => Input::Init,
            Message::InitAck(ack) if self.ack.as_ref() == Some(ack) => Input::InitAckAgain,
            Message::InitAck(_) => Input::InitAck,
            Message::Refuse(_) => Input::Refuse,
            Message::Prepare(_) => Input::Prepare,
            Message::PrepareAck(page) if page.more => Input::PrepareAck,
            Message::PrepareAck(_) => Input::PrepareAckLast,
            Message::InventoryRequest(_)
            | Message::TreeRequest(_)
            | Message::RunRequest(_)
            | Message::OutlineRequest(_)
            | Message::Fetch(_) => moving(Input::Request),
            Message::FetchFailed(_) => moving(Input::FetchFailed),
            Message::Received(_) => moving(Input::Received),
            Message::Release(_) => moving(Input::Release),
            Message::Have(_) => moving(Input::Have),
            Message::Complete(_) => Input::PeerComplete,
            Message::KeepAlive(_) => Input::KeepAlive,
            Message::Throttle(_) => Input::Throttle,
            Message::GoAway(_) => Input::GoAway,
            Message::Abort(abort) if abort.code == Code::Aborted => Input::PeerAbort,
            Message::Abort(_) => Input::PeerFailure,
        }
    }

    fn take(&mut self, now: Timestamp, input: Input, message: Message) -> Result<(), SessionError> {
        match message {
            Message::Init(init) => self.on_init(now, init)?,
            Message::InitAck(ack) => self.on_init_ack(now, ack)?,
            Message::Refuse(refuse) => self.on_refuse(now, &refuse),
            Message::Prepare(page) => self.on_prepare(now, page)?,
            Message::PrepareAck(page) => self.on_prepare_ack(now, page)?,
            Message::InventoryRequest(request) => self.on_request(now, Ask::List(request))?,
            Message::TreeRequest(request) => self.on_request(now, Ask::Tree(request))?,
            Message::RunRequest(request) => self.on_request(now, Ask::Run(request))?,
            Message::OutlineRequest(request) => self.on_request(now, Ask::Outline(request))?,
            Message::Fetch(fetch) => self.on_request(now, Ask::Fetch(fetch))?,
            Message::FetchFailed(failed) => self.on_fetch_failed(failed),
            Message::Received(received) => self.on_received(&received),
            Message::Release(release) => self.on_release(&release),
            Message::Have(_) => self.stats.hints_ignored += 1,
            Message::Complete(summary) => self.on_complete(now, summary)?,
            Message::KeepAlive(_) => {}
            Message::Throttle(throttle) => {
                self.events.push_back(Event::Throttled { bytes: ByteCount(throttle.bytes) });
            }
            Message::GoAway(notice) => self.on_go_away(&notice),
            Message::Abort(abort) => self.on_abort(now, input, &abort),
        }
        Ok(())
    }

    fn on_go_away(&mut self, notice: &GoAwayV1) {
        let gone_in = wait(notice.gone_in_ms);
        self.events.push_back(Event::GoAway { gone_in });
    }

    fn on_complete(&mut self, now: Timestamp, summary: CompleteV1) -> Result<(), SessionError> {
        let breach = |why| Err(SessionError::Breach { message: "Complete", why });
        if self.peer_summary.is_some() {
            return breach("it is the second");
        }
        if !self.is_preview() && !self.offers.own_released() {
            return breach("it comes before the release of all offers");
        }
        self.peer_summary = Some(summary);
        self.end(now, Input::PeerComplete, By::Remote, None);
        Ok(())
    }

    fn on_abort(&mut self, now: Timestamp, input: Input, abort: &AbortV1) {
        let what = if input == Input::PeerAbort { "aborted" } else { "failed" };
        let reason = format!("remote {what}: {}", abort.reason);
        self.end(now, input, By::Remote, Some((abort.code, reason)));
    }

    /// The peer broke the protocol: it is told, and that is the end.
    fn breach(&mut self, now: Timestamp, error: &SessionError) {
        if !self.state.is_final() {
            self.give_up(now, Input::Breach, Code::Protocol, &error.to_string());
        }
    }
}
