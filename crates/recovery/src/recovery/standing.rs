//! Where the replicas stand, for those who look.

use super::Recovery;
use crate::Gap;
use crate::pass::Pass;
use crate::phase::State;
use crate::shortfall::Shortfall;
use crate::standing::{MISSING_SHOWN_MAX, Replica, ReplicaStanding, Standing};

impl Recovery {
    pub(super) fn standing(&self) -> Standing {
        let level = self.agreement.compares().then_some(self.agreement.level);
        let ballot = self.agreement.ballot(self.others(), 0, 0);
        let replicas = self.agreement.voters.replicas;
        let required = level.map_or(1, |level| level.required(replicas, ballot.voters()));
        let (heard, agreed) = self.heard();
        let own_vote = level.is_some() && self.agreement.voters.own_vote;
        let replicas = self.candidates.all().map(|(candidate, _)| self.replica(candidate));
        let (replicas, missing) = (replicas.collect(), self.missing());
        Standing { level, required, heard, agreed, own_vote, replicas, missing }
    }

    /// What the pass under way or the last one could not have.
    fn missing(&self) -> Vec<Gap> {
        let gaps = match self.state.pass() {
            Some(pass) => pass.missing(),
            None => self.shortfall.as_ref().map_or(&[][..], Shortfall::gaps),
        };
        gaps.iter().take(MISSING_SHOWN_MAX).cloned().collect()
    }

    /// How many have offered, and how many of them the same.
    pub(super) fn heard(&self) -> (u32, u32) {
        match &self.state {
            State::Opening { asked, .. } => {
                let offers: Vec<_> = asked.values().filter_map(|asked| asked.offer.as_ref()).collect();
                let alike = |digest| offers.iter().filter(|offer| offer.digest == digest).count();
                let agreed = offers.iter().filter(|offer| offer.is_sealed()).map(|offer| alike(offer.digest));
                (offers.len() as u32, agreed.max().unwrap_or(0) as u32)
            }
            State::Streaming { pass, .. } => {
                let most = pass.roll().columns().iter().map(|column| column.votes()).max();
                (pass.roll().heard(), most.unwrap_or(0))
            }
            State::Choosing { .. } => (0, 0),
            State::Sealing { .. } | State::Publishing { .. } | State::Done => self.sealed_by,
        }
    }

    fn replica(&self, candidate: usize) -> Replica {
        Replica {
            peer: self.candidates.peer(candidate).clone(),
            state: self.replica_standing(candidate),
            manifest: self.manifest_of(candidate),
        }
    }

    fn manifest_of(&self, candidate: usize) -> Option<peerstream_types::Digest> {
        let peer = self.candidates.peer(candidate);
        match &self.state {
            State::Opening { asked, .. } => {
                let asked = asked.values().find(|asked| asked.live.candidate == candidate)?;
                asked.offer.as_ref()?.digest
            }
            State::Streaming { pass, .. } => {
                let mut columns = pass.roll().columns().iter();
                columns.find(|column| column.peers.contains(peer))?.header.digest
            }
            State::Choosing { .. } | State::Sealing { .. } | State::Publishing { .. } | State::Done => None,
        }
    }

    fn replica_standing(&self, candidate: usize) -> ReplicaStanding {
        if let State::Opening { asked, .. } = &self.state
            && let Some(asked) = asked.values().find(|asked| asked.live.candidate == candidate)
        {
            return match asked.offer {
                Some(_) => ReplicaStanding::Offered,
                None => ReplicaStanding::Asked { since: asked.since },
            };
        }
        if let State::Streaming { pass, joining } = &self.state {
            if let Some((_, since)) = joining.values().find(|(live, _)| live.candidate == candidate) {
                return ReplicaStanding::Asked { since: *since };
            }
            let serving = |pass: &Pass| {
                let mut links = pass.links();
                let (source, _) = links.find(|(_, link)| link.candidate == candidate)?;
                Some(ReplicaStanding::Serving { lists: pass.lists(source) })
            };
            if let Some(serving) = serving(pass) {
                return serving;
            }
        }
        self.past_standing(candidate)
    }

    /// Where a replica stands that is not in use.
    fn past_standing(&self, candidate: usize) -> ReplicaStanding {
        let ended = self.candidates.report(candidate).ended.as_ref().filter(|ended| !ended.is_blameless());
        match (ended, self.candidates.asked_from(candidate)) {
            (Some(why), None) => ReplicaStanding::GivenUp { why: why.to_string() },
            (Some(why), Some(Some(until))) => ReplicaStanding::Failed { why: why.to_string(), until },
            (Some(_), Some(None)) | (None, _) => ReplicaStanding::Idle,
        }
    }
}
