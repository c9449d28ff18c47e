//! How several replicas are heard before anything is listed.

use std::collections::BTreeMap;

use peerstream_select::roster::REPLICAS_MAX;
use peerstream_types::{ManifestHeader, Timestamp};

use super::Recovery;
use crate::choice::Next;
use crate::gather::{self, Gathered, Group, Turnout};
use crate::pass::Pass;
use crate::phase::{Asked, State};
use crate::roll::{Column, Roll};
use crate::{Action, Agreement, CloseReason, Outcome, SourceId, WaitReason};

impl Recovery {
    /// Asks all who may be asked, and judges what they offer; says whether anything followed from it.
    pub(super) fn gather(&mut self) -> bool {
        if let State::Choosing { since, .. } = self.state {
            self.state = State::Opening { asked: BTreeMap::new(), met_at: None, since };
        }
        self.close_delisted();
        self.ask_all();
        let others = self.others();
        let State::Opening { asked, met_at, .. } = &mut self.state else { return false };
        let turnout = Turnout {
            others,
            failed: others.saturating_sub(u32::try_from(asked.len()).unwrap_or(u32::MAX)),
            is_late: met_at.is_some_and(|at| at + self.config.compare_wait <= self.now),
        };
        let offers = asked.values().filter_map(|asked| {
            let peer = self.candidates.peer(asked.live.candidate).clone();
            Some((peer, asked.live.id, asked.offer.clone()?))
        });
        let groups = gather::groups(offers);
        match gather::judge(groups, &self.agreement, &*self.positions, turnout) {
            Gathered::Begin(header, groups) => {
                self.begin(*header, groups);
                true
            }
            Gathered::Unfit(unfit) => {
                for (source, why) in unfit {
                    self.close(source, &CloseReason::Incompatible(why.to_owned()));
                }
                true
            }
            Gathered::Enough => {
                met_at.get_or_insert(self.now);
                false
            }
            // Best effort waits for nobody who is out of reach; who said when to come again is another matter.
            Gathered::Nobody if self.candidates.awaits_refused() => {
                *met_at = None;
                false
            }
            Gathered::Nobody => {
                self.give_up();
                true
            }
            Gathered::TooFew => {
                *met_at = None;
                self.is_hopeless()
            }
        }
    }

    /// How many replicas besides this node count, whether they can be asked or not.
    pub(super) fn others(&self) -> u32 {
        self.agreement.voters.others(self.candidates.counts().0)
    }

    /// Whoever is no candidate any more has no say.
    fn close_delisted(&mut self) {
        let State::Opening { asked, .. } = &self.state else { return };
        let delisted = asked.values().filter(|asked| !self.candidates.is_listed(asked.live.candidate));
        let delisted: Vec<SourceId> = delisted.map(|asked| asked.live.id).collect();
        delisted.into_iter().for_each(|source| self.close(source, &CloseReason::NotNeeded));
    }

    fn ask_all(&mut self) {
        while let Next::Open(candidate) = self.candidates.next(self.now)
            && self.state.sources().len() < REPLICAS_MAX
        {
            let live = self.dial(candidate);
            if let State::Opening { asked, .. } = &mut self.state {
                asked.insert(live.id, Asked { live, since: self.now, offer: None });
            }
        }
    }

    /// Ends the job if those who might still answer are too few for the level.
    fn is_hopeless(&mut self) -> bool {
        let Agreement { level, voters, .. } = self.agreement;
        let (listed, spent) = self.candidates.counts();
        // Those who are absent may come, but without anybody who has the data they are not waited for.
        let left = voters.others(listed) - spent;
        let has_source = left > voters.absent;
        let ballot = self.agreement.ballot(voters.others(listed), left, 0);
        if has_source && level.is_achieved(voters.replicas, ballot.voters(), ballot.votes()) {
            return false;
        }
        if !has_source {
            self.give_up();
        } else {
            let required = level.required(voters.replicas, ballot.voters());
            let peers = self.candidates.reports();
            self.stop(Outcome::LevelMissed { level, required, left, peers });
        }
        true
    }

    /// The word of one source is enough, and it has offered.
    pub(super) fn begin_with_one(&mut self) {
        let State::Opening { asked, .. } = &self.state else { return };
        let first = asked.values().find_map(|asked| Some((asked.live, asked.offer.clone()?)));
        match first {
            Some((live, header)) => {
                let members = vec![(self.candidates.peer(live.candidate).clone(), live.id)];
                self.begin(header.clone(), vec![Group { header, members }]);
            }
            None => self.state = State::Choosing { wait: None, since: self.now },
        }
    }

    /// Begins to list what these have.
    fn begin(&mut self, header: ManifestHeader, mut groups: Vec<Group>) {
        let choosing = State::Choosing { wait: None, since: self.now };
        let State::Opening { mut asked, .. } = std::mem::replace(&mut self.state, choosing) else { return };
        let mut room = (self.config.sources_max as usize).saturating_sub(groups.len());
        let (mut columns, mut links) = (Vec::new(), BTreeMap::new());
        // Once something is missing, all are needed.
        let is_choosy = self.shortfall.is_none();
        for (column, group) in groups.iter_mut().enumerate() {
            let candidate =
                |member: &(_, SourceId)| asked.get(&member.1).map_or(0, |asked| asked.live.candidate);
            let good = self.candidates.rank(self.now, &mut group.members, candidate);
            let most = if is_choosy { good } else { group.members.len() };
            let serving = 1 + room.min(most - 1);
            room -= serving - 1;
            for (_, source) in &group.members[..serving] {
                let Some(Asked { live, .. }) = asked.remove(source) else { continue };
                links.insert(*source, self.new_link(live, column));
            }
            let peers = group.members.iter().map(|(peer, _)| peer.clone()).collect();
            columns.push(Column::new(group.header.clone(), group.members[0].1, peers));
        }
        let joined = if groups.len() == 1 {
            Vec::new()
        } else {
            groups.iter().map(|group| group.header.clone()).collect()
        };
        let Some(roll) = Roll::new(columns) else { return };
        self.stored_before = self.stats.stored_bytes;
        let pass = Pass::new(header.clone(), roll, links, self.shortfall.take());
        self.actions.push_back(Action::Begin { header, joined });
        let (offered, pending): (Vec<Asked>, Vec<Asked>) =
            asked.into_values().partition(|asked| asked.offer.is_some());
        let all = offered.iter().chain(&pending).map(|asked| (asked.live.id, (asked.live, asked.since)));
        self.state = State::Streaming { pass: Box::new(pass), joining: all.collect() };
        offered.into_iter().for_each(|asked| self.send_away(asked));
    }

    /// Closes a source that has offered and is not used: there are enough, or it has something else.
    fn send_away(&mut self, Asked { live, offer, .. }: Asked) {
        let is_same = |pass: &Pass| offer.is_some_and(|offer| pass.column_of(&offer).is_some());
        self.actions.push_back(Action::Release { source: live.id });
        if self.state.pass().is_some_and(is_same) {
            self.close(live.id, &CloseReason::NotNeeded);
        } else {
            self.left_out(live.id);
        }
    }

    /// When something follows from the time that has passed.
    pub(super) fn gather_timeout(
        &self,
        asked: &BTreeMap<SourceId, Asked>,
        met_at: Option<Timestamp>,
    ) -> Option<Timestamp> {
        let pending = asked.values().filter(|asked| asked.offer.is_none());
        let late = pending.map(|asked| asked.since + self.config.open_timeout);
        let next = if self.agreement.compares() { self.tried_again_at() } else { None };
        late.chain(met_at.map(|at| at + self.config.compare_wait)).chain(next).min()
    }

    fn tried_again_at(&self) -> Option<Timestamp> {
        match self.candidates.next(self.now) {
            Next::Wait(_, until) => Some(until),
            Next::Open(_) | Next::Nobody => None,
        }
    }

    /// What a job waits for that has asked these.
    pub(super) fn wait_for_offers(&self, asked: &BTreeMap<SourceId, Asked>) -> WaitReason {
        if !self.agreement.compares() || asked.values().any(|asked| asked.offer.is_none()) {
            return WaitReason::Offer;
        }
        let Agreement { level, voters, .. } = self.agreement;
        let got = u32::try_from(asked.len()).unwrap_or(u32::MAX);
        let ballot = self.agreement.ballot(self.others(), got, 0);
        let required = level.required(voters.replicas, ballot.voters());
        let absent = voters.others(0);
        WaitReason::Level { level, required, got: ballot.votes(), absent, until: self.tried_again_at() }
    }
}
