//! How long deletes are remembered, and what must not be merged once one is forgotten.
//!
//! A delete is kept as a tombstone, so that it reaches replicas which still have the block. A tombstone
//! that is forgotten too early lets a replica that has not heard of it bring the block back. So each
//! replica knows two stamps:
//!
//! - **synced**: of its data, everything that a delete up to there covers is gone. It rises with a whole
//!   recovery, or when the host says that all deletes up to a stamp have come ([`mark_synced`]).
//! - **purged**: the newest delete that it has forgotten. A tombstone is forgotten only if it is older
//!   than the horizon *and* not newer than synced, so purged never passes synced.
//!
//! Both travel in the state of a snapshot's header. Two replicas may be merged if neither has forgotten a
//! delete that the other may have missed: `synced` of each is at least `purged` of the other. Otherwise
//! the older one's data is of no use, and is refused: [`BeyondHorizon`] if it is ours,
//! [`SourceBeyondHorizon`] if it is the source's. The stamps are exact where a horizon and two clocks
//! would be a guess.
//!
//! [`mark_synced`]: crate::BlockStore::mark_synced
//! [`BeyondHorizon`]: peerstream_snapshot::SinkError::BeyondHorizon
//! [`SourceBeyondHorizon`]: peerstream_snapshot::SinkError::SourceBeyondHorizon

use peerstream_snapshot::SinkError;
use peerstream_types::ShardId;
use serde::{Deserialize, Serialize};

use crate::Stamp;
use crate::limits::HOOK_NAME_LEN_MAX;

/// First byte of a header's state: the version of the encoding.
const VERSION: u8 = 1;

/// What a replica says of itself in the header of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) synced: Stamp,
    pub(crate) purged: Option<Stamp>,
}

impl Claim {
    /// Of a replica without data, and of a source that knows no deletes.
    pub(crate) const EMPTY: Self = Self { synced: Stamp(u64::MAX), purged: None };

    pub(crate) fn encode(self, hook: &str) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.synced.0.to_be_bytes());
        bytes.push(u8::from(self.purged.is_some()));
        bytes.extend_from_slice(&self.purged.map_or(0, |stamp| stamp.0).to_be_bytes());
        bytes.extend_from_slice(hook.as_bytes());
        bytes
    }

    /// Reads a header's state. Takes anything: states of peers come here. No state at all is that of a
    /// source which is no block store: it has never heard of a delete.
    pub(crate) fn decode(state: &[u8], hook: &str) -> Result<Self, SinkError> {
        if state.is_empty() {
            return Ok(Self { synced: Stamp(0), purged: None });
        }
        let bad = |why: &str| SinkError::BadManifest(format!("its state {why}"));
        let [VERSION, rest @ ..] = state else { return Err(bad("has a version that is not known here")) };
        let (synced, rest) = rest.split_first_chunk().ok_or_else(|| bad("is cut off"))?;
        let (&[flag], rest) = rest.split_first_chunk().ok_or_else(|| bad("is cut off"))?;
        let (purged, name) = rest.split_first_chunk().ok_or_else(|| bad("is cut off"))?;
        if name.len() > HOOK_NAME_LEN_MAX || name != hook.as_bytes() {
            let name = name[..name.len().min(HOOK_NAME_LEN_MAX)].escape_ascii();
            return Err(bad(&format!("is that of blocks merged with {name}, here it is {hook}")));
        }
        let (synced, purged) = (Stamp(u64::from_be_bytes(*synced)), Stamp(u64::from_be_bytes(*purged)));
        let purged = match flag {
            0 if purged == Stamp(0) => None,
            1 if purged <= synced => Some(purged),
            _ => return Err(bad("forgets deletes that it has not seen")),
        };
        Ok(Self { synced, purged })
    }
}

/// What a replica knows of deletes, as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Knowledge {
    /// Everything that a delete up to here covers is gone from the data.
    synced: Option<Stamp>,
    /// No data is older than this; counts while nothing was ever synced.
    since: Option<Stamp>,
    /// The least that the sources of a recovery under way, or given up, were synced to.
    mixing: Option<Stamp>,
    /// The newest delete that is forgotten.
    purged: Option<Stamp>,
}

impl Knowledge {
    pub(crate) fn claim(&self) -> Claim {
        Claim { synced: self.synced_to(), purged: self.purged }
    }

    fn synced_to(&self) -> Stamp {
        let never = Claim::EMPTY.synced;
        self.synced.or(self.since).unwrap_or(never).min(self.mixing.unwrap_or(never))
    }

    /// A write of the host, whose oldest part has this stamp.
    ///
    /// # Errors
    ///
    /// The newest delete that is forgotten, if it could have been of what is written.
    pub(crate) fn write(&mut self, oldest: Stamp) -> Result<(), Stamp> {
        if let Some(purged) = self.purged.filter(|purged| oldest <= *purged) {
            return Err(purged);
        }
        let before = Stamp(oldest.0.saturating_sub(1));
        self.since = Some(self.since.map_or(before, |since| since.min(before)));
        Ok(())
    }

    /// The host says that every delete up to `stamp` has come.
    pub(crate) fn mark_synced(&mut self, stamp: Stamp) {
        // What is forgotten was seen: a shard without data forgets whatever is old.
        self.synced = self.synced.max(Some(stamp)).max(self.purged);
    }

    /// Data of sources comes in, of which the one that knows least knows of deletes up to `least`.
    pub(crate) fn mix(&mut self, least: Stamp) {
        if least < Claim::EMPTY.synced {
            self.mixing = Some(self.mixing.map_or(least, |mixing| mixing.min(least)));
        }
    }

    /// All that sources had is in, of which the one that knows least knows of deletes up to `least`.
    pub(crate) fn complete(&mut self, least: Stamp) {
        self.mixing = None;
        if least < Claim::EMPTY.synced {
            self.mark_synced(least);
        }
    }

    /// Some of what sources had is in, and nothing more will come: deletes may be missing.
    pub(crate) fn complete_in_part(&mut self) {
        let reached = self.synced_to();
        self.synced = (reached < Claim::EMPTY.synced).then_some(reached);
        self.mixing = None;
    }

    /// Up to which stamp tombstones may be forgotten, `None` if none may.
    pub(crate) fn purge_limit(&self, now: Stamp, horizon: u64) -> Option<Stamp> {
        let aged = now.0.checked_sub(horizon)?;
        Some(Stamp(aged).min(self.synced_to()))
    }

    pub(crate) fn purged(&mut self, newest: Option<Stamp>) {
        self.purged = self.purged.max(newest);
    }
}

/// The replicas that are merged into one: this one, and the sources so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Members {
    synced: Stamp,
    purged: Option<Stamp>,
    least_source: Stamp,
    sources: usize,
}

impl Members {
    pub(crate) fn of(this: Claim) -> Self {
        let Claim { synced, purged } = this;
        Self { synced, purged, least_source: Claim::EMPTY.synced, sources: 0 }
    }

    /// Takes another source among them, unless it or they have missed a delete that is forgotten.
    pub(crate) fn join(&mut self, shard: &ShardId, source: Claim) -> Result<(), SinkError> {
        if let Some(purged) = source.purged.filter(|purged| self.synced < *purged) {
            let (shard, synced, purged) = (shard.clone(), self.synced.0, purged.0);
            return Err(SinkError::BeyondHorizon { shard, synced, purged });
        }
        if let Some(purged) = self.purged.filter(|purged| source.synced < *purged) {
            let (shard, synced, purged) = (shard.clone(), source.synced.0, purged.0);
            return Err(SinkError::SourceBeyondHorizon { shard, synced, purged });
        }
        self.synced = self.synced.min(source.synced);
        self.purged = self.purged.max(source.purged);
        self.least_source = self.least_source.min(source.synced);
        self.sources += 1;
        Ok(())
    }

    /// What the source that knows least knows of deletes.
    pub(crate) fn least_source(&self) -> Stamp {
        self.least_source
    }

    /// Whether there is one source, whose manifest is what is admitted.
    pub(crate) fn is_single(&self) -> bool {
        self.sources == 1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shard() -> ShardId {
        "metrics@1/0".parse().unwrap()
    }

    fn claim(synced: u64, purged: Option<u64>) -> Claim {
        Claim { synced: Stamp(synced), purged: purged.map(Stamp) }
    }

    #[test]
    fn a_claim_reads_back_and_hostile_ones_are_refused() {
        for good in [Claim::EMPTY, claim(7, None), claim(7, Some(7)), claim(9, Some(0))] {
            assert_eq!(Claim::decode(&good.encode("hook/1"), "hook/1"), Ok(good));
        }
        let state = claim(7, Some(3)).encode("hook/1");
        for cut in 1..state.len() {
            assert!(Claim::decode(&state[..cut], "hook/1").is_err(), "{cut}");
        }
        assert!(Claim::decode(&state, "other/1").is_err());
        assert!(Claim::decode(&claim(3, Some(7)).encode("hook/1"), "hook/1").is_err());
        assert_eq!(Claim::decode(&[], "hook/1"), Ok(claim(0, None)));
    }

    /// What was merged from the sources before counts as ours.
    #[test]
    fn who_has_missed_a_forgotten_delete_is_refused() {
        let mut members = Members::of(claim(50, Some(20)));
        members.join(&shard(), claim(30, Some(10))).unwrap();
        let old = members.join(&shard(), claim(19, None));
        assert!(matches!(old, Err(SinkError::SourceBeyondHorizon { synced: 19, purged: 20, .. })), "{old:?}");
        let far = members.join(&shard(), claim(90, Some(31)));
        assert!(matches!(far, Err(SinkError::BeyondHorizon { synced: 30, purged: 31, .. })), "{far:?}");
        members.join(&shard(), claim(90, Some(30))).unwrap();
        assert_eq!(members.least_source(), Stamp(30));
    }

    #[test]
    fn an_empty_replica_takes_from_anyone() {
        let mut members = Members::of(Knowledge::default().claim());
        members.join(&shard(), claim(1_000, Some(900))).unwrap();
    }

    /// What a model of one replica may do.
    #[derive(Debug, Clone)]
    enum Step {
        Write(u64),
        Synced(u64),
        Mix(u64),
        Complete(u64),
        InPart,
        Purge(u64),
    }

    fn steps() -> impl Strategy<Value = Step> {
        let stamp = 1u64..100;
        prop_oneof![
            stamp.clone().prop_map(Step::Write),
            stamp.clone().prop_map(Step::Synced),
            stamp.clone().prop_map(Step::Mix),
            stamp.clone().prop_map(Step::Complete),
            Just(Step::InPart),
            stamp.prop_map(Step::Purge),
        ]
    }

    proptest! {
        /// No replica forgets a delete that its own data may not reflect.
        #[test]
        fn purged_never_passes_synced(steps in prop::collection::vec(steps(), 0..12)) {
            let mut known = Knowledge::default();
            for step in steps {
                let Claim { purged, .. } = known.claim();
                match step {
                    Step::Write(stamp) => {
                        let refused = known.write(Stamp(stamp)).is_err();
                        prop_assert_eq!(refused, purged.is_some_and(|purged| Stamp(stamp) <= purged));
                    }
                    Step::Synced(stamp) => known.mark_synced(Stamp(stamp)),
                    // Others are refused by `Members`.
                    Step::Mix(stamp) | Step::Complete(stamp) if Some(Stamp(stamp)) < purged => {}
                    Step::Mix(stamp) => known.mix(Stamp(stamp)),
                    Step::Complete(stamp) => known.complete(Stamp(stamp)),
                    Step::InPart => known.complete_in_part(),
                    Step::Purge(now) => {
                        let limit = known.purge_limit(Stamp(now), 10);
                        prop_assert!(limit.is_none_or(|limit| limit.0 + 10 <= now));
                        known.purged(limit);
                    }
                }
                let claim = known.claim();
                prop_assert!(claim.purged.is_none_or(|purged| purged <= claim.synced), "{:?}", known);
            }
        }
    }
}
