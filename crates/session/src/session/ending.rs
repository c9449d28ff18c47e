//! Time, the connection, notices, and every end but completion.

use std::time::Duration;

use peerstream_types::{ByteCount, Timestamp};
use peerstream_wire::message::{AbortV1, GoAwayV1, KeepAlive, ThrottleV1};
use peerstream_wire::{Code, Extensions, Message, Text};

use super::Session;
use crate::error::CommandError;
use crate::event::By;
use crate::input::Input;
use crate::timer::Due;

impl Session {
    /// Time has come to what [`poll_timeout`](Self::poll_timeout) said. Calls that are too early do
    /// nothing.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        match self.timers.due(now) {
            None => {}
            Some(Due::KeepAlive) => self.keep_alive(now),
            Some(Due::Silence(silence)) => {
                let reason = format!("nothing was heard for {silence:?}, the peer is probably down");
                self.give_up(now, Input::Silence, Code::TimedOut, &reason);
            }
            Some(Due::Deadline(limit)) => {
                let reason = format!("still in state {} after {limit:?}", self.state);
                self.give_up(now, Input::Deadline, Code::TimedOut, &reason);
            }
        }
    }

    /// What still waits to be sent is sign of life enough.
    fn keep_alive(&mut self, now: Timestamp) {
        if self.transmit.is_empty() {
            self.send(now, Message::KeepAlive(KeepAlive::default()));
        } else {
            self.timers.said(now);
        }
    }

    /// The control stream or its connection ended, for the reason given. After the end this is no
    /// error and nothing happens; before it the peer is probably down and the session fails (rows C15
    /// and C16). What waits to be sent is dropped: nothing can carry it.
    pub fn handle_disconnect(&mut self, now: Timestamp, reason: String) {
        self.transmit.clear();
        let reason = format!("peer probably down: {reason}");
        self.end(now, Input::Disconnect, By::Remote, Some((Code::NotReady, reason)));
    }

    /// Ends the session from this end and tells the peer why (row C17). With [`Code::Aborted`] it was
    /// called off and ends as aborted, with any other code as failed, the same at both ends. Nothing
    /// happens if it has ended before.
    ///
    /// # Errors
    ///
    /// None today: an end is possible in every state.
    pub fn abort(&mut self, now: Timestamp, code: Code, reason: &str) -> Result<(), CommandError> {
        let input = if code == Code::Aborted { Input::DoAbort } else { Input::DoFail };
        self.permit("abort", input)?;
        if !self.state.is_final() {
            self.give_up(now, input, code, reason);
        }
        Ok(())
    }

    /// Ends the session from this end. Abort has room beyond the limit of what may wait.
    pub(super) fn give_up(&mut self, now: Timestamp, input: Input, code: Code, reason: &str) {
        let abort = AbortV1 { code, reason: Text::cut(reason), extensions: Extensions::default() };
        self.send(now, Message::Abort(abort));
        self.end(now, input, By::Local, Some((code, reason.to_owned())));
    }

    /// Tells the peer that this node is going down, and when it will be gone, if that is known. The
    /// session goes on.
    ///
    /// # Errors
    ///
    /// [`CommandError::TransmitFull`] asks to try again later.
    pub fn go_away(&mut self, now: Timestamp, gone_in: Option<Duration>) -> Result<(), CommandError> {
        let gone_in_ms = gone_in.map_or(0, |gone_in| u64::try_from(gone_in.as_millis()).unwrap_or(u64::MAX));
        self.notice(
            now,
            "go_away",
            Message::GoAway(GoAwayV1 { gone_in_ms, extensions: Extensions::default() }),
        )
    }

    /// Asks the peer to have no more than this many bytes asked for and not yet sent, from now on.
    ///
    /// # Errors
    ///
    /// As [`go_away`](Self::go_away).
    pub fn throttle(&mut self, now: Timestamp, bytes: ByteCount) -> Result<(), CommandError> {
        let throttle = ThrottleV1 { bytes: bytes.0, extensions: Extensions::default() };
        self.notice(now, "throttle", Message::Throttle(throttle))
    }

    fn notice(
        &mut self,
        now: Timestamp,
        command: &'static str,
        message: Message,
    ) -> Result<(), CommandError> {
        self.permit(command, Input::DoNotice)?;
        self.room_for(1)?;
        self.send(now, message);
        Ok(())
    }
}
