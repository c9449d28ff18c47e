//! When something has to happen without a message.

use std::time::Duration;

use peerstream_types::Timestamp;

use crate::config::Config;
use crate::state::State;

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// The state has lasted longer than this.
    Deadline(Duration),
    /// Nothing was heard for this long.
    Silence(Duration),
    /// Nothing was said for a while.
    KeepAlive,
}

/// The clocks of a session.
#[derive(Debug, Clone)]
pub(crate) struct Timers {
    keep_alive: Option<Duration>,
    silence: Option<Duration>,
    said: Timestamp,
    heard: Timestamp,
    deadline: Option<(Timestamp, Duration)>,
    /// Before InitAck the deadline watches alone; after the end nothing does.
    beating: bool,
}

impl Timers {
    pub(crate) fn new(now: Timestamp, config: &Config) -> Self {
        let silence = config.silence();
        let mut timers = Self {
            keep_alive: silence.map(|_| config.keep_alive),
            silence,
            said: now,
            heard: now,
            deadline: None,
            beating: false,
        };
        timers.enter(now, State::Init, config);
        timers
    }

    pub(crate) fn enter(&mut self, now: Timestamp, state: State, config: &Config) {
        let (limit, beating) = match state {
            State::Init => (Some(config.handshake_timeout), false),
            State::Prepare => (Some(config.prepare_timeout), true),
            State::Stream => (None, true),
            State::Complete => (Some(config.complete_timeout), true),
            State::Completed | State::Failed | State::Aborted => (None, false),
        };
        self.deadline = limit.map(|limit| (now + limit, limit));
        if beating && !self.beating {
            (self.said, self.heard) = (now, now);
        }
        self.beating = beating;
    }

    pub(crate) fn said(&mut self, now: Timestamp) {
        self.said = self.said.max(now);
    }

    pub(crate) fn heard(&mut self, now: Timestamp) {
        self.heard = self.heard.max(now);
    }

    pub(crate) fn next(&self) -> Option<Timestamp> {
        let beats = [self.keep_alive_at(), self.silence_at(), self.deadline.map(|(at, _)| at)];
        beats.into_iter().flatten().min()
    }

    pub(crate) fn due(&self, now: Timestamp) -> Option<Due> {
        let is_due = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        match (self.deadline, self.silence) {
            (Some((at, limit)), _) if at <= now => Some(Due::Deadline(limit)),
            (_, Some(silence)) if is_due(self.silence_at()) => Some(Due::Silence(silence)),
            _ => is_due(self.keep_alive_at()).then_some(Due::KeepAlive),
        }
    }

    fn keep_alive_at(&self) -> Option<Timestamp> {
        self.keep_alive.filter(|_| self.beating).map(|period| self.said + period)
    }

    fn silence_at(&self) -> Option<Timestamp> {
        self.silence.filter(|_| self.beating).map(|silence| self.heard + silence)
    }
}
