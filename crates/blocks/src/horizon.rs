//! How long deletes are remembered, and what must not be merged once one is forgotten.
//!
//! A delete is kept as a tombstone, so that it reaches replicas which still have the block. A tombstone
//! that is forgotten too early lets a replica that has not heard of it bring the block back. So each
//! replica knows three stamps:
//!
//! - **heard**: every delete up to there has come to it. It rises with a whole recovery from sources that
//!   have heard as much, or when the host says so ([`mark_synced`]).
//! - **synced**: of its data, everything that a delete up to there covers is gone: because it has heard of
//!   those deletes, or because it has no data that is so old. The second says nothing of the data of
//!   others, so who recovers from it has not heard of more than before.
//! - **purged**: the newest delete that it, or a source that it was recovered from, has forgotten. A
//!   tombstone is forgotten only if it is older than the horizon *and* not newer than synced, so purged
//!   never passes synced; and a write that is not newer than purged is not taken. One at stamp 0 is never
//!   forgotten: who has data of that stamp has no lower one to be synced to.
//!
//! They travel in the state of a snapshot's header. Two replicas may be merged if neither has forgotten a
//! delete that the other may have missed: `synced` of each is at least `purged` of the other. Otherwise
//! the older one's data is of no use, and is refused: [`BeyondHorizon`] if it is ours,
//! [`SourceBeyondHorizon`] if it is the source's. The stamps are exact where a horizon and two clocks
//! would be a guess.
//!
//! No replica can check what another one says of itself: the stamps are believed. A source that lies can
//! have itself taken in place of others, and late writes refused here; where more sources go together
//! without it, the engine leaves it out.
//!
//! In a state there are a version (1 byte), synced, heard, purged, and the name of the merge hook. Stamps
//! have 8 bytes, the most significant first; before heard and purged a byte says whether there is one (1)
//! or not (0, and the stamp is 0).
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
    pub(crate) heard: Option<Stamp>,
    pub(crate) purged: Option<Stamp>,
}

impl Claim {
    /// Of a replica without data, and of a source that knows no deletes.
    pub(crate) const EMPTY: Self = Self { synced: Stamp(u64::MAX), heard: None, purged: None };

    pub(crate) fn encode(self, hook: &str) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.synced.0.to_be_bytes());
        for stamp in [self.heard, self.purged] {
            bytes.push(u8::from(stamp.is_some()));
            bytes.extend_from_slice(&stamp.map_or(0, |stamp| stamp.0).to_be_bytes());
        }
        bytes.extend_from_slice(hook.as_bytes());
        bytes
    }

    /// Reads a header's state. Takes anything: states of peers come here. No state at all is that of a
    /// source which is no block store: it has never heard of a delete.
    pub(crate) fn decode(state: &[u8], hook: &str) -> Result<Self, SinkError> {
        if state.is_empty() {
            return Ok(Self { synced: Stamp(0), heard: None, purged: None });
        }
        let bad = |why: &str| SinkError::BadManifest(format!("its state {why}"));
        let [VERSION, rest @ ..] = state else { return Err(bad("has a version that is not known here")) };
        let (synced, rest) = rest.split_first_chunk().ok_or_else(|| bad("is cut off"))?;
        let (heard, rest) = optional(rest).ok_or_else(|| bad("is cut off, or has no flag"))?;
        let (purged, name) = optional(rest).ok_or_else(|| bad("is cut off, or has no flag"))?;
        if name.len() > HOOK_NAME_LEN_MAX || name != hook.as_bytes() {
            let name = name[..name.len().min(HOOK_NAME_LEN_MAX)].escape_ascii();
            return Err(bad(&format!("is that of blocks merged with {name}, here it is {hook}")));
        }
        let synced = Stamp(u64::from_be_bytes(*synced));
        if heard.max(purged) > Some(synced) {
            return Err(bad("forgets deletes that it has not seen"));
        }
        Ok(Self { synced, heard, purged })
    }
}

/// A stamp that may be there, and what follows it. `None` if it is none, in its one encoding.
fn optional(bytes: &[u8]) -> Option<(Option<Stamp>, &[u8])> {
    let (&[flag], rest) = bytes.split_first_chunk()?;
    let (stamp, rest) = rest.split_first_chunk()?;
    match (flag, u64::from_be_bytes(*stamp)) {
        (0, 0) => Some((None, rest)),
        (1, stamp) => Some((Some(Stamp(stamp)), rest)),
        _ => None,
    }
}

/// What a replica knows of deletes, as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Knowledge {
    /// Every delete up to here has come.
    heard: Option<Stamp>,
    /// No data is under a delete up to here that has not come; `None` while there was no data. It sinks
    /// with what is written, and with what sources bring.
    clean: Option<Stamp>,
    /// The least that the sources of a recovery under way, or given up, were synced to.
    mixing: Option<Stamp>,
    /// The newest delete that is forgotten, here or by a source.
    purged: Option<Stamp>,
}

impl Knowledge {
    /// Of data that any delete may have covered.
    pub(crate) const LEAST: Self = Self { heard: None, clean: Some(Stamp(0)), mixing: None, purged: None };

    pub(crate) fn claim(&self) -> Claim {
        let clean = self.clean.unwrap_or(Claim::EMPTY.synced);
        Claim {
            synced: self.heard.map_or(clean, |heard| heard.max(clean)),
            heard: self.heard,
            purged: self.purged,
        }
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
        self.sink(Stamp(oldest.0.saturating_sub(1)));
        Ok(())
    }

    fn sink(&mut self, clean: Stamp) {
        self.clean = Some(self.clean.map_or(clean, |before| before.min(clean)));
    }

    /// The host says that every delete up to `stamp` has come.
    pub(crate) fn mark_synced(&mut self, stamp: Stamp) {
        self.heard = self.heard.max(Some(stamp));
    }

    /// Data of sources comes in; what they say together.
    pub(crate) fn mix(&mut self, sources: Claim) {
        let Claim { synced, purged, .. } = sources;
        self.purged(purged);
        if synced < Claim::EMPTY.synced {
            self.sink(synced);
            self.mixing = Some(self.mixing.map_or(synced, |mixing| mixing.min(synced)));
        }
    }

    /// All that sources had is in, and each of them has heard of every delete up to `heard`. With `None`
    /// only some of it may be in, and nothing more will come.
    pub(crate) fn complete(&mut self, heard: Option<Stamp>) {
        self.mixing = None;
        self.heard = self.heard.max(heard);
    }

    /// Up to which stamp tombstones may be forgotten, `None` if none may. What sources still bring may be
    /// under one that they have not heard of.
    pub(crate) fn purge_limit(&self, now: Stamp, horizon: u64) -> Option<Stamp> {
        let aged = now.0.checked_sub(horizon)?;
        Some(Stamp(aged).min(self.claim().synced).min(self.mixing.unwrap_or(Claim::EMPTY.synced)))
    }

    pub(crate) fn purged(&mut self, newest: Option<Stamp>) {
        self.purged = self.purged.max(newest);
    }
}

/// Whether a delete may be forgotten that is not newer than the limit of the purge.
pub(crate) fn may_be_forgotten(delete: Stamp, limit: Stamp) -> bool {
    delete > Stamp(0) && delete <= limit
}

/// The replicas that are merged into one: this one, and the sources so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Members {
    synced: Stamp,
    purged: Option<Stamp>,
    least_source: Stamp,
    /// What each of the sources has heard of.
    heard: Option<Stamp>,
    sources: usize,
}

impl Members {
    pub(crate) fn of(this: Claim) -> Self {
        let Claim { synced, purged, .. } = this;
        let most = Claim::EMPTY.synced;
        Self { synced, purged, least_source: most, heard: Some(most), sources: 0 }
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
        self.heard = self.heard.min(source.heard);
        self.sources += 1;
        Ok(())
    }

    /// What the sources say together: the least that any of them is synced to and has heard of, and the
    /// newest delete that one of all members has forgotten.
    pub(crate) fn sources(&self) -> Claim {
        Claim { synced: self.least_source, heard: self.heard, purged: self.purged }
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

    fn claim(synced: u64, heard: Option<u64>, purged: Option<u64>) -> Claim {
        Claim { synced: Stamp(synced), heard: heard.map(Stamp), purged: purged.map(Stamp) }
    }

    #[test]
    fn a_claim_reads_back_and_hostile_ones_are_refused() {
        let good = [claim(7, None, None), claim(7, None, Some(7)), claim(9, Some(8), Some(0))];
        for good in good.into_iter().chain([Claim::EMPTY]) {
            assert_eq!(Claim::decode(&good.encode("hook/1"), "hook/1"), Ok(good));
        }
        let state = claim(7, Some(5), Some(3)).encode("hook/1");
        for cut in 1..state.len() {
            assert!(Claim::decode(&state[..cut], "hook/1").is_err(), "{cut}");
        }
        assert!(Claim::decode(&state, "other/1").is_err());
        for hostile in [claim(3, None, Some(7)), claim(3, Some(7), None)] {
            assert!(Claim::decode(&hostile.encode("hook/1"), "hook/1").is_err(), "{hostile:?}");
        }
        assert_eq!(Claim::decode(&[], "hook/1"), Ok(claim(0, None, None)));
    }

    /// Peers read these bytes: they change with the version only.
    #[test]
    fn a_claim_has_these_bytes() {
        let bytes = claim(0x0102, Some(0x03), None).encode("h/1");
        let synced = [1, 0, 0, 0, 0, 0, 0, 1, 2];
        let heard = [1, 0, 0, 0, 0, 0, 0, 0, 3];
        assert_eq!(bytes, [&synced[..], &heard, &[0; 9], b"h/1"].concat());
    }

    /// What was merged from the sources before counts as ours.
    #[test]
    fn who_has_missed_a_forgotten_delete_is_refused() {
        let mut members = Members::of(claim(50, None, Some(20)));
        members.join(&shard(), claim(30, None, Some(10))).unwrap();
        let old = members.join(&shard(), claim(19, None, None));
        assert!(matches!(old, Err(SinkError::SourceBeyondHorizon { synced: 19, purged: 20, .. })), "{old:?}");
        let far = members.join(&shard(), claim(90, None, Some(31)));
        assert!(matches!(far, Err(SinkError::BeyondHorizon { synced: 30, purged: 31, .. })), "{far:?}");
        members.join(&shard(), claim(90, None, Some(30))).unwrap();
        assert_eq!(members.sources(), claim(30, None, Some(30)));
    }

    /// Sources have heard together of what each of them has heard of.
    #[test]
    fn sources_have_heard_of_what_each_has_heard_of() {
        let mut members = Members::of(Claim::EMPTY);
        members.join(&shard(), claim(90, Some(80), None)).unwrap();
        members.join(&shard(), claim(95, Some(70), None)).unwrap();
        assert_eq!(members.sources(), claim(90, Some(70), None));
        members.join(&shard(), claim(99, None, None)).unwrap();
        assert_eq!(members.sources(), claim(90, None, None));
    }

    #[test]
    fn an_empty_replica_takes_from_anyone() {
        let mut members = Members::of(Knowledge::default().claim());
        members.join(&shard(), claim(1_000, Some(1_000), Some(900))).unwrap();
    }

    /// What a model of one replica may do.
    #[derive(Debug, Clone)]
    enum Step {
        Write(u64),
        Synced(u64),
        /// Sources that are synced to, have heard of, have forgotten.
        Mix(u64, Option<u64>, Option<u64>),
        Complete(Option<u64>),
        Purge(u64),
    }

    fn steps() -> impl Strategy<Value = Step> {
        let stamp = 1u64..100;
        let source = (stamp.clone(), prop::option::of(stamp.clone()), prop::option::of(stamp.clone()));
        prop_oneof![
            stamp.clone().prop_map(Step::Write),
            stamp.clone().prop_map(Step::Synced),
            source.prop_map(|(synced, heard, purged)| {
                // Others are not read.
                let seen = |stamp: Option<u64>| stamp.filter(|stamp| *stamp <= synced);
                Step::Mix(synced, seen(heard), seen(purged))
            }),
            prop::option::of(stamp.clone()).prop_map(Step::Complete),
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
                    Step::Mix(synced, heard, purged) => {
                        let mut members = Members::of(known.claim());
                        if members.join(&shard(), claim(synced, heard, purged)).is_ok() {
                            known.mix(members.sources());
                            prop_assert!(known.claim().purged >= purged.map(Stamp));
                        }
                    }
                    Step::Complete(heard) => known.complete(heard.map(Stamp)),
                    Step::Purge(now) => {
                        let limit = known.purge_limit(Stamp(now), 10);
                        prop_assert!(limit.is_none_or(|limit| limit.0 + 10 <= now));
                        known.purged(limit);
                    }
                }
                let claim = known.claim();
                prop_assert!(claim.purged.is_none_or(|purged| purged <= claim.synced), "{:?}", known);
                prop_assert!(claim.heard.is_none_or(|heard| heard <= claim.synced), "{:?}", known);
            }
        }
    }
}
