//! A level that is changed while a job runs.

use peerstream_select::Level;
use peerstream_types::Timestamp;

use super::Recovery;
use crate::phase::State;
use crate::{CloseReason, Findings};

impl Recovery {
    /// Another level is asked for from now on, also of what is under way (row F-20), up to
    /// [`Action::Publish`](crate::Action::Publish). Those that are left alone because too few of them answered
    /// are asked at once. If what is streamed or sealed is not enough for it, the replicas are heard anew, and
    /// what was stored is found again; otherwise it goes on.
    pub fn handle_level(&mut self, now: Timestamp, level: Level) {
        self.tick(now);
        if self.agreement.level == level {
            return;
        }
        self.agreement.level = level;
        self.candidates.be_patient(self.agreement.is_patient());
        self.candidates.wake(self.now);
        self.apply_level();
        self.advance();
    }

    /// If what is streamed is less than the level asks for that was set now, the replicas are heard anew: at
    /// once, or when the store is done with what it seals.
    fn apply_level(&mut self) {
        let is_below = self.is_below_level();
        match &mut self.state {
            State::Streaming { .. } if is_below => {
                self.keep_progress();
                self.leave_all();
            }
            State::Sealing { is_below_level, .. } => *is_below_level = is_below,
            State::Choosing { .. }
            | State::Opening { .. }
            | State::Streaming { .. }
            | State::Publishing { .. }
            | State::Done => {}
        }
    }

    /// What was sealed is not enough: the replicas are heard anew.
    pub(super) fn unseal(&mut self) {
        self.close_all(&CloseReason::NotNeeded);
        self.findings = Findings::default();
        self.state = State::Choosing { wait: None, since: self.now };
    }

    /// Too few were heard for the level, or a copy was taken that has too few votes.
    fn is_below_level(&self) -> bool {
        let verdicts = match &self.state {
            State::Streaming { pass, .. } => pass.verdicts(),
            State::Sealing { verdicts, .. } => verdicts,
            State::Choosing { .. } | State::Opening { .. } | State::Publishing { .. } | State::Done => {
                return false;
            }
        };
        self.agreement.compares() && (!self.standing().is_met() || verdicts.took_too_much(&self.agreement))
    }
}
