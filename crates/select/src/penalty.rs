//! Penalties of peers, with their reasons, that fade with time.
//!
//! Every offence adds points; all points halve with every half-life. A peer with enough of them is
//! avoided where others are left, never excluded: when all sources of a file are bad, the least bad
//! one is still asked (demands D6 and D14).

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use peerstream_types::{NodeId, Timestamp};

/// What a peer is blamed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Offence {
    /// Its bytes or its inventory are not what they have to be.
    Lied,
    /// It gave nothing for too long.
    Stalled,
    /// It was lost or answered with an error.
    Failed,
    /// It would not serve.
    Refused,
}

impl Offence {
    /// Every offence, the worst first.
    pub const ALL: [Self; 4] = [Self::Lied, Self::Stalled, Self::Failed, Self::Refused];
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lied => "lied",
            Self::Stalled => "stalled",
            Self::Failed => "failed",
            Self::Refused => "refused",
        })
    }
}

/// How heavily offences weigh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PenaltyConfig {
    /// In this time all points halve. Default 60 s: a peer that lied is avoided for nearly three
    /// minutes, one that stalled for half a minute. Zero forgets at once.
    pub half_life: Duration,
    /// Points from which on a peer is avoided. Default 15: one lie or stall, two failures, three
    /// refusals.
    pub avoid_at: u32,
    /// Points of each offence, in the order of [`Offence::ALL`]. Default 100, 20, 10, 5.
    pub points: [u32; 4],
}

impl Default for PenaltyConfig {
    fn default() -> Self {
        Self { half_life: Duration::from_secs(60), avoid_at: 15, points: [100, 20, 10, 5] }
    }
}

/// Most peers with a penalty. Beyond, the one with the fewest points is forgotten: a fleet has more
/// nodes, a node does not stream from more at once.
pub const PEERS_MAX: usize = 1024;
/// A peer's points rise no further, so that the longest wait for their end is bounded: 26 half-lives
/// with the default of `avoid_at`.
pub const POINTS_MAX: u64 = 1_000_000_000;
/// Points are kept in thousandths, so that small ones fade smoothly.
const SCALE: u64 = 1000;

/// Why a peer is thought ill of, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Penalty {
    /// Points left, rounded down.
    pub points: u64,
    /// The offence that weighs most.
    pub reason: Offence,
    /// How often it offended since its points were last zero, in the order of [`Offence::ALL`].
    pub offences: [u32; 4],
    /// Until when it is avoided, if it is; without further offences.
    pub avoided_until: Option<Timestamp>,
}

#[derive(Debug, Clone, Default)]
struct Record {
    /// As of `at`, by offence, in thousandths.
    points: [u64; 4],
    offences: [u32; 4],
    at: Timestamp,
}

/// The penalties of the peers of one node.
#[derive(Debug, Clone, Default)]
pub struct Penalties {
    config: PenaltyConfig,
    records: BTreeMap<NodeId, Record>,
}

impl Penalties {
    /// Nobody is blamed yet.
    pub fn new(config: PenaltyConfig) -> Self {
        Self { config, records: BTreeMap::new() }
    }

    /// Blames a peer.
    pub fn blame(&mut self, now: Timestamp, peer: &NodeId, offence: Offence) {
        if !self.records.contains_key(peer) {
            self.make_room(now);
            self.records.insert(peer.clone(), Record { at: now, ..Record::default() });
        }
        let (half_life, added) = (self.config.half_life, self.config.points[offence as usize]);
        let Some(record) = self.records.get_mut(peer) else { return };
        let age = now.saturating_since(record.at);
        record.points = record.points.map(|points| faded(points, age, half_life));
        record.at = record.at.max(now);
        if record.points.iter().all(|points| *points == 0) {
            record.offences = [0; 4];
        }
        let points = &mut record.points[offence as usize];
        *points = (*points + u64::from(added) * SCALE).min(POINTS_MAX * SCALE / 4);
        let count = &mut record.offences[offence as usize];
        *count = count.saturating_add(1);
    }

    /// What is held against a peer now; `None` if nothing is left of it.
    pub fn of(&self, now: Timestamp, peer: &NodeId) -> Option<Penalty> {
        let record = self.records.get(peer)?;
        let points = self.left(now, record) / SCALE;
        if points == 0 {
            return None;
        }
        // All points fade alike, so their order is that of the last offence.
        let heaviest = |offence: &Offence| (record.points[*offence as usize], std::cmp::Reverse(*offence));
        let reason = Offence::ALL.into_iter().max_by_key(heaviest)?;
        let avoided_until = self.avoided(now, peer);
        Some(Penalty { points, reason, offences: record.offences, avoided_until })
    }

    /// Until when a peer is avoided, if it is now.
    pub fn avoided(&self, now: Timestamp, peer: &NodeId) -> Option<Timestamp> {
        let until = self.records.get(peer).and_then(|record| self.avoided_until(record));
        until.filter(|until| *until > now)
    }

    /// Everyone with points left, in order of their ids, for a status.
    pub fn iter(&self, now: Timestamp) -> impl Iterator<Item = (&NodeId, Penalty)> {
        self.records.keys().filter_map(move |peer| Some((peer, self.of(now, peer)?)))
    }

    /// A peer is forgiven: its disk was replaced, say.
    pub fn forgive(&mut self, peer: &NodeId) {
        self.records.remove(peer);
    }

    fn left(&self, now: Timestamp, record: &Record) -> u64 {
        faded(record.points.iter().sum(), now.saturating_since(record.at), self.config.half_life)
    }

    /// When the points of a record fall below the threshold.
    fn avoided_until(&self, record: &Record) -> Option<Timestamp> {
        let limit = u64::from(self.config.avoid_at) * SCALE;
        let mut points: u64 = record.points.iter().sum();
        let (half_life, mut at) = (self.config.half_life, record.at);
        if points < limit.max(1) || half_life.is_zero() {
            return None;
        }
        while points / 2 >= limit.max(1) {
            points /= 2;
            at = at + half_life;
        }
        // Within a half-life points fade evenly, down to their half.
        let share = u128::from(points - limit) * 2 * half_life.as_nanos() / u128::from(points);
        Some(at + Duration::from_nanos(u64::try_from(share).unwrap_or(u64::MAX)) + Duration::from_nanos(1))
    }

    fn make_room(&mut self, now: Timestamp) {
        if self.records.len() < PEERS_MAX {
            return;
        }
        let least = self.records.iter().min_by_key(|(_, record)| self.left(now, record));
        if let Some(peer) = least.map(|(peer, _)| peer.clone()) {
            self.records.remove(&peer);
        }
    }
}

/// What is left of points after `age`: halved with every half-life, evenly within one. Whole numbers
/// only, so that every machine gets the same.
fn faded(points: u64, age: Duration, half_life: Duration) -> u64 {
    let (age, half_life) = (age.as_nanos(), half_life.as_nanos());
    if half_life == 0 {
        return 0;
    }
    let halvings = age / half_life;
    if halvings >= 64 {
        return 0;
    }
    let whole = u128::from(points >> halvings);
    let left = whole - whole * (age % half_life) / (2 * half_life);
    u64::try_from(left).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> NodeId {
        NodeId::new(name).unwrap()
    }

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_millis(secs * 1000)
    }

    fn avoided_for(offences: &[Offence]) -> u64 {
        let mut penalties = Penalties::default();
        offences.iter().for_each(|offence| penalties.blame(at(0), &node("a"), *offence));
        let until = penalties.of(at(0), &node("a")).unwrap().avoided_until;
        until.map_or(0, |until| until.since_origin().as_secs())
    }

    /// D6, D14: a lie weighs more than a stall, a stall more than a failure, and the reason is named.
    #[test]
    fn the_worse_the_offence_the_longer_a_peer_is_avoided() {
        assert_eq!(avoided_for(&[Offence::Lied]), 168);
        assert_eq!(avoided_for(&[Offence::Stalled]), 30);
        assert_eq!(avoided_for(&[Offence::Failed]), 0, "once is nothing");
        assert_eq!(avoided_for(&[Offence::Failed; 2]), 30);
        assert_eq!(avoided_for(&[Offence::Refused; 2]), 0);
        assert!(avoided_for(&[Offence::Lied; 2]) > avoided_for(&[Offence::Lied]));
    }

    #[test]
    fn the_heaviest_reason_is_named_with_the_counts() {
        let mut penalties = Penalties::default();
        for offence in [Offence::Failed, Offence::Lied, Offence::Failed] {
            penalties.blame(at(0), &node("a"), offence);
        }
        let penalty = penalties.of(at(0), &node("a")).unwrap();
        assert_eq!((penalty.points, penalty.reason, penalty.offences), (120, Offence::Lied, [1, 0, 2, 0]));
        assert_eq!(penalty.reason.to_string(), "lied");
        assert_eq!(penalties.iter(at(0)).count(), 1);
        penalties.forgive(&node("a"));
        assert_eq!(penalties.of(at(0), &node("a")), None);
    }

    #[test]
    fn penalties_fade() {
        let mut penalties = Penalties::default();
        penalties.blame(at(0), &node("a"), Offence::Lied);
        let left = |secs| penalties.of(at(secs), &node("a")).map_or(0, |penalty| penalty.points);
        assert_eq!([0, 30, 60, 120, 180, 600].map(left), [100, 75, 50, 25, 12, 0]);
        assert!((0..600).all(|secs| left(secs) >= left(secs + 1)));
    }

    /// The end that is announced is the end that comes.
    #[test]
    fn a_peer_is_avoided_until_the_announced_moment() {
        let mut penalties = Penalties::default();
        penalties.blame(at(5), &node("b"), Offence::Lied);
        penalties.blame(at(25), &node("b"), Offence::Failed);
        let until = penalties.of(at(25), &node("b")).unwrap().avoided_until.unwrap();
        let before = Timestamp::from_duration(until.since_origin() - Duration::from_nanos(2));
        assert_eq!(penalties.avoided(before, &node("b")), Some(until));
        assert_eq!(penalties.avoided(before, &node("a")), None);
        assert!(penalties.of(before, &node("b")).unwrap().points >= 15);
        assert_eq!(penalties.avoided(until, &node("b")), None);
        assert!(penalties.of(until + Duration::from_secs(1), &node("b")).unwrap().points < 15);
    }

    #[test]
    fn offences_add_up_while_they_fade_and_counts_begin_anew_when_they_have() {
        let mut penalties = Penalties::default();
        for secs in [0, 60] {
            penalties.blame(at(secs), &node("a"), Offence::Stalled);
        }
        let penalty = penalties.of(at(60), &node("a")).unwrap();
        assert_eq!((penalty.points, penalty.offences[1]), (30, 2));
        penalties.blame(at(60 * 100), &node("a"), Offence::Stalled);
        let penalty = penalties.of(at(60 * 100), &node("a")).unwrap();
        assert_eq!((penalty.points, penalty.offences[1]), (20, 1));
    }

    #[test]
    fn the_table_is_bounded_and_forgets_the_least() {
        let mut penalties = Penalties::default();
        penalties.blame(at(0), &node("liar"), Offence::Lied);
        for index in 0..2 * PEERS_MAX {
            penalties.blame(at(0), &node(&format!("n{index}")), Offence::Refused);
        }
        assert_eq!(penalties.records.len(), PEERS_MAX);
        assert!(penalties.of(at(0), &node("liar")).is_some());
    }

    #[test]
    fn nothing_overflows() {
        let config = PenaltyConfig { points: [u32::MAX; 4], avoid_at: 0, half_life: Duration::MAX };
        let mut penalties = Penalties::new(config);
        for _ in 0..100 {
            Offence::ALL.iter().for_each(|offence| penalties.blame(at(0), &node("a"), *offence));
        }
        assert_eq!(penalties.of(at(u64::MAX / 1_000_000), &node("a")).map(|p| p.points > 0), Some(true));
        let mut forgetful = Penalties::new(PenaltyConfig { half_life: Duration::ZERO, ..config });
        forgetful.blame(at(0), &node("a"), Offence::Lied);
        assert_eq!(forgetful.of(at(0), &node("a")), None);
    }
}
