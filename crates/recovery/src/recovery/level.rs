//! A level that is changed while a job runs.

use std::collections::BTreeSet;

use peerstream_select::Level;
use peerstream_types::{NodeId, Timestamp};

use super::Recovery;
use crate::phase::State;
use crate::{CloseReason, Findings, Standing};

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

    /// Something was done without that is not done without now, too few were heard for the level, or a copy was
    /// taken that has too few votes.
    fn is_below_level(&self) -> bool {
        let (verdicts, dropped) = match &self.state {
            State::Streaming { pass, .. } => (pass.verdicts(), pass.findings().dropped.count),
            State::Sealing { verdicts, .. } => (verdicts, self.findings.dropped.count),
            State::Choosing { .. } | State::Opening { .. } | State::Publishing { .. } | State::Done => {
                return false;
            }
        };
        if dropped > 0 && !self.agreement.is_best_effort() {
            return true;
        }
        let standing = Standing { heard: self.heard_of_now(), ..self.standing() };
        self.agreement.compares() && (!standing.is_met() || verdicts.took_too_much(&self.agreement))
    }

    /// How many stand behind what is streamed or sealed, of those who are replicas now.
    pub(super) fn heard_of_now(&self) -> u32 {
        let heard: BTreeSet<&NodeId> = match &self.state {
            State::Streaming { pass, .. } => pass.roll().voters().collect(),
            State::Sealing { .. } => self.sealed_with.iter().collect(),
            State::Choosing { .. } | State::Opening { .. } | State::Publishing { .. } | State::Done => {
                BTreeSet::new()
            }
        };
        let listed = heard.into_iter().filter(|peer| self.candidates.lists(peer));
        u32::try_from(listed.count()).unwrap_or(u32::MAX)
    }
}
