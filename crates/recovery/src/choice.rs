//! Who is asked next.
//!
//! A peer that was not tried goes before one that failed, so a dead peer never delays another (row F-13),
//! and fewer attempts in vain before more; then comes the rank, then who has less outstanding with all jobs
//! of this node, then the lower id (row F-07). Whoever is avoided goes after all others that can be asked
//! now. Nobody is asked twice at a time, and nobody to join others whose manifest is not its own.

use std::time::Duration;

use peerstream_types::{Digest, NodeId, Timestamp};

use crate::config::{CANDIDATES_MAX, OPENS_TOTAL_MAX, RETRY_AFTER_MAX};
use crate::{BackOff, Candidate, CloseReason, Config, PeerReport, Regard};

/// What to do about a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// Open this candidate now.
    Open(usize),
    /// This candidate is the next, but not before.
    Wait(usize, Timestamp),
    /// No candidate is left.
    Nobody,
}

/// What a source did before it was closed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Yield {
    pub(crate) stored_bytes: u64,
    pub(crate) bad_chunks: u64,
}

#[derive(Debug, Clone)]
struct Known {
    report: PeerReport,
    rank: u32,
    regard: Regard,
    /// Attempts in a row that brought nothing.
    in_vain: u32,
    /// `None` before the first attempt, which sorts before every moment.
    not_before: Option<Timestamp>,
    in_use: bool,
    /// The manifest of others that it could not join.
    not_joining: Option<Digest>,
    /// It is not asked again at this level.
    spent: bool,
    /// It is not asked again at any level.
    is_gone: bool,
    /// Whether it may be asked, as the driver said last.
    listed: bool,
}

impl Known {
    fn new(candidate: Candidate) -> Self {
        let Candidate { peer, rank, regard } = candidate;
        Self {
            report: PeerReport { peer, opens: 0, ended: None, stored_bytes: 0, bad_chunks: 0 },
            rank,
            regard,
            in_vain: 0,
            not_before: None,
            in_use: false,
            not_joining: None,
            spent: false,
            is_gone: false,
            listed: true,
        }
    }

    /// Whether it may be opened, now or later.
    fn is_left(&self) -> bool {
        self.listed && !self.spent && !self.in_use
    }

    /// Orders those who can be asked: the least is the best.
    fn merit(&self, now: Timestamp) -> impl Ord + '_ {
        let is_tried = self.not_before.is_some();
        let attempts = (is_tried, self.in_vain);
        (self.regard.is_avoided(now), attempts, self.rank, self.regard.outstanding, &self.report.peer)
    }

    /// When it may be asked to join others.
    fn joins_from(&self) -> Option<Timestamp> {
        self.not_before.max(self.regard.avoided_until)
    }
}

/// Whether a moment has come.
fn is_past(at: Option<Timestamp>, now: Timestamp) -> bool {
    at.is_none_or(|at| at <= now)
}

/// The candidates and what came of them.
#[derive(Debug, Clone)]
pub(crate) struct Candidates {
    all: Vec<Known>,
    opens_in_vain_max: u32,
    /// Whoever may come to serve is asked again, however often it failed.
    is_patient: bool,
    back_off: BackOff,
    seed: u64,
}

impl Candidates {
    /// Repeated peers count once.
    pub(crate) fn new(candidates: Vec<Candidate>, config: &Config, is_patient: bool) -> Self {
        let mut all: Vec<Known> = Vec::new();
        for candidate in candidates {
            if all.iter().all(|other| other.report.peer != candidate.peer) {
                all.push(Known::new(candidate));
            }
        }
        let (back_off, seed) = (config.back_off, config.seed);
        Self { all, opens_in_vain_max: config.opens_per_peer, is_patient, back_off, seed }
    }

    /// From now on, these may be asked and no others; says whether that is news. Those who return are
    /// what they were. Beyond [`CANDIDATES_MAX`] in all, none comes any more.
    pub(crate) fn relist(&mut self, candidates: &[Candidate]) -> bool {
        let mut is_news = false;
        for known in &mut self.all {
            let candidate = candidates.iter().find(|candidate| candidate.peer == known.report.peer);
            is_news |= known.listed != candidate.is_some();
            known.listed = candidate.is_some();
            if let Some(Candidate { rank, regard, .. }) = candidate {
                (known.rank, known.regard) = (*rank, *regard);
            }
        }
        for candidate in candidates {
            let is_new = self.all.iter().all(|known| known.report.peer != candidate.peer);
            if is_new && self.all.len() < CANDIDATES_MAX {
                self.all.push(Known::new(candidate.clone()));
                is_news = true;
            }
        }
        is_news
    }

    /// What is known of them beyond this job has changed.
    pub(crate) fn regard(&mut self, regard: impl Fn(&NodeId) -> Regard) {
        for known in &mut self.all {
            known.regard = regard(&known.report.peer);
        }
    }

    pub(crate) fn next(&self, now: Timestamp) -> Next {
        let left = self.all.iter().enumerate().filter(|(_, known)| known.is_left());
        let able = left.clone().filter(|(_, known)| is_past(known.not_before, now));
        if let Some((index, _)) = able.min_by(|(_, one), (_, other)| one.merit(now).cmp(&other.merit(now))) {
            return Next::Open(index);
        }
        match left.filter_map(|(index, known)| Some((known.not_before?, index))).min() {
            Some((until, index)) => Next::Wait(index, until),
            None => Next::Nobody,
        }
    }

    /// Who is asked next to join those who serve this manifest, and from when on it may be.
    pub(crate) fn next_to_join(&self, now: Timestamp, digest: Digest) -> Option<(usize, Option<Timestamp>)> {
        let left = self.all.iter().enumerate();
        let left = left.filter(|(_, known)| known.is_left() && known.not_joining != Some(digest));
        let able = left.clone().filter(|(_, known)| is_past(known.joins_from(), now));
        let able = able.min_by(|(_, one), (_, other)| one.merit(now).cmp(&other.merit(now)));
        let next = able.or_else(|| left.min_by_key(|(_, known)| known.joins_from()));
        next.map(|(index, known)| (index, known.joins_from()))
    }

    /// The best first; says how many of them, at the least one, may be asked for content now.
    pub(crate) fn rank<T>(&self, now: Timestamp, some: &mut [T], index: impl Fn(&T) -> usize) -> usize {
        let known = |one: &T| &self.all[index(one)];
        some.sort_by(|one, other| known(one).merit(now).cmp(&known(other).merit(now)));
        let avoided = some.iter().filter(|one| known(one).regard.is_avoided(now)).count();
        if avoided < some.len() { some.len() - avoided } else { some.len() }
    }

    /// Whether it is not to be asked while others can be.
    pub(crate) fn is_avoided(&self, now: Timestamp, index: usize) -> bool {
        self.all[index].regard.is_avoided(now)
    }

    /// What other jobs of this node wait for from a candidate.
    pub(crate) fn outstanding(&self, index: usize) -> u64 {
        self.all[index].regard.outstanding.0
    }

    /// The candidate has another manifest than this.
    pub(crate) fn cannot_join(&mut self, index: usize, digest: Digest) {
        self.all[index].not_joining = Some(digest);
    }

    /// Counts an attempt at a candidate; says which it is, from one.
    pub(crate) fn opened(&mut self, index: usize) -> u32 {
        self.all[index].in_use = true;
        let report = &mut self.all[index].report;
        report.opens += 1;
        report.ended = None;
        report.opens
    }

    /// Takes the end of an attempt into account.
    pub(crate) fn closed(&mut self, now: Timestamp, index: usize, reason: CloseReason, got: Yield) {
        let candidate = &mut self.all[index];
        candidate.in_use = false;
        candidate.report.stored_bytes += got.stored_bytes;
        candidate.report.bad_chunks += got.bad_chunks;
        let is_blameless = reason.is_blameless();
        candidate.in_vain = match got.stored_bytes {
            0 => candidate.in_vain + u32::from(!is_blameless),
            _ => 0,
        };
        let wait = self.back_off.delay(candidate.in_vain.max(1), self.seed ^ ((index as u64) << 32));
        let wait = if is_blameless { Duration::ZERO } else { wait };
        let began_in_vain = self.is_patient && reason == CloseReason::WorkedThrough;
        match if began_in_vain { Some(Duration::ZERO) } else { may_ask_again(&reason) } {
            None => {
                candidate.spent = true;
                candidate.is_gone = reason != CloseReason::WorkedThrough;
            }
            Some(asked_for) => {
                candidate.not_before = Some(now + wait.max(asked_for));
                let is_used_up =
                    candidate.in_vain >= self.opens_in_vain_max || candidate.report.opens >= OPENS_TOTAL_MAX;
                candidate.spent = is_used_up && !self.is_patient;
            }
        }
        candidate.report.ended = Some(reason);
    }

    /// Nobody who is not in use is asked before this.
    pub(crate) fn rest_until(&mut self, until: Timestamp) {
        for candidate in self.all.iter_mut().filter(|candidate| !candidate.in_use) {
            candidate.not_before = candidate.not_before.max(Some(until));
        }
    }

    /// Whether those who failed are asked again for as long as it takes.
    pub(crate) fn be_patient(&mut self, is_patient: bool) {
        self.is_patient = is_patient;
    }

    /// Whoever waits may be asked now, and so may those who are spent, unless they are gone for good.
    pub(crate) fn wake(&mut self, now: Timestamp) {
        for candidate in &mut self.all {
            candidate.not_before = candidate.not_before.min(Some(now));
            candidate.spent = candidate.is_gone;
        }
    }

    /// Whether a candidate may be asked, as the driver said last.
    pub(crate) fn is_listed(&self, index: usize) -> bool {
        self.all[index].listed
    }

    /// Whether a peer is a candidate now.
    pub(crate) fn lists(&self, peer: &NodeId) -> bool {
        self.all.iter().any(|candidate| candidate.listed && candidate.report.peer == *peer)
    }

    /// How many may be asked, and of them how many will not be asked again.
    pub(crate) fn counts(&self) -> (u32, u32) {
        let listed = self.all.iter().filter(|candidate| candidate.listed);
        listed.fold((0, 0), |(all, spent), candidate| (all + 1, spent + u32::from(candidate.spent)))
    }

    /// Whether somebody who is not in use may be asked and has not failed.
    pub(crate) fn has_fresh(&self) -> bool {
        let is_blameless =
            |candidate: &Known| candidate.report.ended.as_ref().is_none_or(CloseReason::is_blameless);
        self.all.iter().any(|candidate| candidate.is_left() && is_blameless(candidate))
    }

    /// Whether somebody who refused for a while only will be asked again.
    pub(crate) fn awaits_refused(&self) -> bool {
        let mut left = self.all.iter().filter(|candidate| candidate.is_left());
        left.any(|candidate| matches!(candidate.report.ended, Some(CloseReason::Refused(_))))
    }

    /// When a candidate that is not in use may be asked; `None` if never.
    pub(crate) fn asked_from(&self, index: usize) -> Option<Option<Timestamp>> {
        let candidate = &self.all[index];
        (candidate.listed && !candidate.spent).then_some(candidate.not_before)
    }

    pub(crate) fn peer(&self, index: usize) -> &NodeId {
        &self.all[index].report.peer
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (usize, &PeerReport)> {
        self.all.iter().map(|candidate| &candidate.report).enumerate()
    }

    pub(crate) fn report(&self, index: usize) -> &PeerReport {
        &self.all[index].report
    }

    pub(crate) fn reports(&self) -> Vec<PeerReport> {
        self.all.iter().map(|candidate| candidate.report.clone()).collect()
    }
}

/// Whether a peer may be asked again after this, and after how long at the earliest.
fn may_ask_again(reason: &CloseReason) -> Option<Duration> {
    match reason {
        CloseReason::Complete
        | CloseReason::WorkedThrough
        | CloseReason::BadManifest(_)
        | CloseReason::CannotKeep(_)
        | CloseReason::JobEnded(_) => None,
        CloseReason::Refused(refusal) if refusal.permanent => None,
        CloseReason::Refused(refusal) => Some(refusal.retry_after.unwrap_or_default().min(RETRY_AFTER_MAX)),
        CloseReason::Lost(_)
        | CloseReason::OpenTimeout
        | CloseReason::Stalled
        | CloseReason::Busy
        | CloseReason::OtherManifest
        | CloseReason::NotNeeded
        | CloseReason::Incompatible(_)
        | CloseReason::ListFailed(_) => Some(Duration::ZERO),
    }
}

#[cfg(test)]
mod tests {
    use peerstream_types::ByteCount;

    use super::*;

    const LOST: fn() -> CloseReason = || CloseReason::Lost("reset".into());

    fn candidates(names: &[&str]) -> Candidates {
        Candidates::new(listed(names), &Config::default(), false)
    }

    fn listed(names: &[&str]) -> Vec<Candidate> {
        Candidate::in_order(names.iter().map(|name| NodeId::new(name).unwrap()))
    }

    /// All of one rank, with this much outstanding elsewhere.
    fn loaded(loads: &[(&str, u64)]) -> Vec<Candidate> {
        let candidate = |(name, outstanding): &(&str, u64)| {
            let regard = Regard { outstanding: ByteCount(*outstanding), ..Regard::default() };
            Candidate { peer: NodeId::new(*name).unwrap(), rank: 0, regard }
        };
        loads.iter().map(candidate).collect()
    }

    fn fail(candidates: &mut Candidates, now: Timestamp, index: usize, reason: CloseReason) {
        candidates.opened(index);
        candidates.closed(now, index, reason, Yield::default());
    }

    /// F-13: the back-off of a dead peer holds nobody else.
    #[test]
    fn untried_peers_go_before_failed_ones() {
        let now = Timestamp::ZERO;
        let mut all = candidates(&["a", "b", "c"]);
        assert_eq!(all.next(now), Next::Open(0));
        fail(&mut all, now, 0, LOST());
        assert_eq!(all.next(now + Duration::from_secs(40)), Next::Open(1), "though a could be tried");
        fail(&mut all, now, 1, LOST());
        assert_eq!(all.next(now), Next::Open(2));
        fail(&mut all, now, 2, LOST());
        assert!(matches!(all.next(now), Next::Wait(..)));
    }

    #[test]
    fn a_refusal_waits_as_long_as_it_asks_within_a_limit() {
        let now = Timestamp::ZERO;
        let refused = |secs, permanent| {
            let retry_after = Some(Duration::from_secs(secs));
            CloseReason::Refused(crate::Refusal { reason: "busy".into(), retry_after, permanent })
        };
        for (asked, waited) in [(100, 100), (u64::MAX, 300)] {
            let mut all = candidates(&["a"]);
            fail(&mut all, now, 0, refused(asked, false));
            assert_eq!(all.next(now), Next::Wait(0, now + Duration::from_secs(waited)));
        }
        let mut all = candidates(&["a"]);
        fail(&mut all, now, 0, refused(1, true));
        assert_eq!(all.next(now), Next::Nobody);
    }

    #[test]
    fn only_attempts_without_progress_use_up_a_peer() {
        let mut all = candidates(&["a", "a"]);
        let mut now = Timestamp::ZERO;
        for _ in 0..10 {
            all.opened(0);
            all.closed(now, 0, LOST(), Yield { stored_bytes: 1, bad_chunks: 0 });
            now = now + Duration::from_secs(30);
            assert_eq!(all.next(now), Next::Open(0));
        }
        for _ in 0..3 {
            assert_eq!(all.next(now), Next::Open(0));
            fail(&mut all, now, 0, LOST());
            now = now + Duration::from_secs(30);
        }
        assert_eq!(all.next(now), Next::Nobody);
    }

    /// F-75: who left is not asked, who came is, and who returns is no better than before.
    #[test]
    fn only_those_who_are_listed_are_asked() {
        let now = Timestamp::ZERO;
        let mut all = candidates(&["a", "b"]);
        fail(&mut all, now, 0, LOST());
        assert!(!all.relist(&listed(&["b", "a"])), "no news");
        assert!(all.relist(&listed(&["a", "c"])));
        assert_eq!(all.next(now), Next::Open(2), "c came, b left");
        fail(&mut all, now, 2, LOST());
        assert!(matches!(all.next(now), Next::Wait(..)));
        assert!(all.relist(&listed(&["b"])));
        assert_eq!(all.next(now), Next::Open(1));
        assert!(all.relist(&[]));
        assert_eq!(all.next(now), Next::Nobody);
        let many = Candidate::in_order((0..300).map(|n| NodeId::new(format!("n{n}").as_str()).unwrap()));
        assert!(all.relist(&many));
        assert_eq!(all.reports().len(), CANDIDATES_MAX);
        assert!(!all.relist(&many), "those for whom there is no room are no news");
    }

    #[test]
    fn a_peer_with_endless_novelties_is_given_up() {
        let mut all = candidates(&["a"]);
        let mut now = Timestamp::ZERO;
        while all.next(now) == Next::Open(0) {
            all.opened(0);
            all.closed(now, 0, LOST(), Yield { stored_bytes: 1, bad_chunks: 0 });
            now = now + Duration::from_secs(30);
        }
        assert_eq!(all.reports()[0].opens, OPENS_TOTAL_MAX);
    }

    /// F-07, M-01: least outstanding over all shards first, then the lowest id, in whatever order they are
    /// listed.
    #[test]
    fn of_equals_who_has_least_to_do_is_asked_and_then_the_lowest_id() {
        let now = Timestamp::ZERO;
        let config = Config::default();
        let next = |loads: &[(&str, u64)]| Candidates::new(loaded(loads), &config, false).next(now);
        assert_eq!(next(&[("c", 0), ("a", 0), ("b", 0)]), Next::Open(1));
        assert_eq!(next(&[("c", 0), ("a", 9), ("b", 5)]), Next::Open(0));
        let mut all = Candidates::new(loaded(&[("a", 0), ("b", 0)]), &config, false);
        all.regard(|peer| Regard {
            outstanding: ByteCount(u64::from(peer.as_str() == "a")),
            ..Regard::default()
        });
        assert_eq!(all.next(now), Next::Open(1), "loads change");
        let mut ranked = loaded(&[("a", 0), ("b", 5)]);
        ranked[0].rank = 1;
        assert_eq!(Candidates::new(ranked, &config, false).next(now), Next::Open(1), "rank goes before load");
    }

    /// M-09, F-07: the first was attempted, the third is busier: the second. Attempts go before load.
    #[test]
    fn attempts_go_before_load() {
        let now = Timestamp::ZERO;
        let mut all = Candidates::new(loaded(&[("a", 0), ("b", 5), ("c", 9)]), &Config::default(), false);
        let later = now + Duration::from_secs(3600);
        for expected in [0, 1, 2, 0, 1, 2] {
            assert_eq!(all.next(later), Next::Open(expected));
            fail(&mut all, now, expected, LOST());
        }
    }

    /// D6, D14: who is avoided comes after all others, until its time; with nobody else it is asked at once.
    #[test]
    fn who_is_avoided_is_asked_last() {
        let (now, until) = (Timestamp::ZERO, Timestamp::from_millis(5_000));
        let mut some = listed(&["a", "b"]);
        some[0].regard.avoided_until = Some(until);
        let mut all = Candidates::new(some, &Config::default(), false);
        assert_eq!((all.next(now), all.next(until)), (Next::Open(1), Next::Open(0)));
        let digest = Digest::Blake3([1; 32]);
        fail(&mut all, now, 1, CloseReason::WorkedThrough);
        assert_eq!(all.next(now), Next::Open(0), "there is nobody else");
        assert_eq!(all.next_to_join(now, digest), Some((0, Some(until))), "nobody needs it to join");
    }
}
