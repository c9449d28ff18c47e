//! The manifest that a recovery is filling: what one source has, or the union of what several have.

use std::sync::Arc;

use peerstream_snapshot::limits::ENTRIES_MAX;
use peerstream_snapshot::verify::scheme;
use peerstream_snapshot::{ManifestHasher, SinkError, VerifiedChunk};
use peerstream_types::{ChunkSize, Digest, Entry, EntryKey, EntryKind, ManifestHeader, Ordinal, Position};

use crate::BlockKey;
use crate::horizon::Members;
use crate::limits::{BLOCK_LEN_MAX, VARIANTS_MAX};

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Missing,
    Merged,
    LeftOut,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Union {
    chunk_size: ChunkSize,
    entries: Vec<(Arc<Entry>, Fate)>,
    hasher: ManifestHasher,
    /// Whose data comes together.
    pub(crate) members: Members,
    /// Whether it is kept that data of all of them comes in.
    pub(crate) is_mixed: bool,
    sealed: Option<ManifestHeader>,
}

impl Union {
    pub(crate) fn begin(header: &ManifestHeader, members: Members) -> Self {
        let chunk_size = header.chunk_size;
        let (entries, hasher) = (Vec::new(), ManifestHasher::new());
        Self { chunk_size, entries, hasher, members, is_mixed: false, sealed: None }
    }

    pub(crate) fn chunk_size(&self) -> ChunkSize {
        self.chunk_size
    }

    /// Checks that what another source has can be verified together with this.
    pub(crate) fn check_source(&self, header: &ManifestHeader) -> Result<(), SinkError> {
        if header.chunk_size != self.chunk_size {
            return Err(SinkError::BadManifest("its chunks are cut otherwise".into()));
        }
        Ok(())
    }

    /// Takes a page whole or not at all.
    pub(crate) fn admit(&mut self, page: &[Arc<Entry>]) -> Result<(), SinkError> {
        if self.sealed.is_some() {
            return Err(SinkError::BadManifest("it is sealed already".into()));
        }
        if self.entries.len() + page.len() > ENTRIES_MAX {
            return Err(SinkError::BadManifest(format!("it has more than {ENTRIES_MAX} entries")));
        }
        let before = self.entries.len();
        for entry in page {
            if let Err(error) = self.check(entry) {
                self.entries.truncate(before);
                return Err(error);
            }
            self.entries.push((entry.clone(), Fate::Missing));
        }
        page.iter().for_each(|entry| self.hasher.entry(entry));
        Ok(())
    }

    fn check(&self, entry: &Entry) -> Result<(), SinkError> {
        let bad = |why: String| Err(SinkError::BadEntry { key: entry.key.clone(), why });
        if entry.ordinal.0 != self.entries.len() as u64 {
            return Err(SinkError::BadManifest(format!("{} is not numbered in order", entry.key)));
        }
        let run = self.entries.iter().rev().take_while(|(other, _)| other.key >= entry.key);
        for (before, (other, _)) in (1..).zip(run) {
            if other.key > entry.key || other.digest == entry.digest || before == VARIANTS_MAX {
                return Err(SinkError::DuplicateKey(entry.key.clone()));
            }
        }
        if let Err(error) = BlockKey::from_entry(&entry.key, &entry.metadata) {
            return bad(error.to_string());
        }
        if entry.kind == EntryKind::File {
            return bad("it is a file".into());
        }
        if entry.len == 0 || entry.len > BLOCK_LEN_MAX as u64 {
            return bad(format!("it has {} bytes, 1 to {BLOCK_LEN_MAX} are allowed", entry.len));
        }
        scheme(entry, self.chunk_size).map(drop).or_else(|error| bad(error.to_string()))
    }

    /// The place of a chunk's entry, if just that was admitted.
    pub(crate) fn place_of(&self, chunk: &VerifiedChunk) -> Result<usize, SinkError> {
        let place = usize::try_from(chunk.entry().ordinal.0).ok();
        let admitted =
            place.filter(|place| self.entries.get(*place).is_some_and(|(e, _)| e == chunk.entry()));
        let same_cut = chunk.chunk_size() == self.chunk_size;
        let none = || SinkError::NotAdmitted(chunk.entry().key.clone());
        admitted.filter(|_| same_cut).ok_or_else(none)
    }

    /// Whether a copy of a block is among the entries.
    pub(crate) fn lists(&self, key: &EntryKey, digest: Option<Digest>, len: u64) -> bool {
        let first = self.entries.partition_point(|(entry, _)| entry.key < *key);
        let mut variants = self.entries[first..].iter().take_while(|(entry, _)| entry.key == *key);
        variants.any(|(entry, _)| entry.digest == digest && entry.len == len)
    }

    pub(crate) fn entry(&self, place: usize) -> &Arc<Entry> {
        &self.entries[place].0
    }

    pub(crate) fn is_merged(&self, place: usize) -> bool {
        self.entries[place].1 == Fate::Merged
    }

    pub(crate) fn set_merged(&mut self, place: usize) {
        self.entries[place].1 = Fate::Merged;
    }

    /// Answers which entry it is.
    pub(crate) fn leave_out(&mut self, ordinal: Ordinal) -> Result<&Arc<Entry>, SinkError> {
        let place = usize::try_from(ordinal.0).ok();
        let entry = place.and_then(|place| self.entries.get_mut(place));
        let (entry, fate) =
            entry.ok_or_else(|| SinkError::BadManifest(format!("{ordinal} was not admitted")))?;
        if *fate == Fate::Missing {
            *fate = Fate::LeftOut;
        }
        Ok(entry)
    }

    /// Whether every entry of every source is in.
    pub(crate) fn is_whole(&self) -> bool {
        self.entries.iter().all(|(_, fate)| *fate == Fate::Merged)
    }

    /// Checks that nothing is missing, and that the header is that of the one source, if there is one.
    pub(crate) fn check_seal(&self, header: &ManifestHeader) -> Result<(), SinkError> {
        self.check_source(header)?;
        if !header.position.as_ref().is_none_or(Position::is_well_formed) {
            return Err(SinkError::BadManifest("its position is too long".into()));
        }
        if self.members.is_single() {
            let fits = header.counts == self.hasher.counts()
                && header.digest.is_some_and(|digest| digest == self.hasher.clone().seal(header));
            if !fits {
                return Err(SinkError::BadManifest("it does not fit its pages".into()));
            }
        }
        let mut missing = self.entries.iter().filter(|(_, fate)| *fate == Fate::Missing);
        let Some((first, _)) = missing.next() else { return Ok(()) };
        Err(SinkError::Incomplete { missing: 1 + missing.count() as u64, first: first.key.clone() })
    }

    pub(crate) fn set_sealed(&mut self, header: ManifestHeader) {
        self.sealed = Some(header);
    }

    pub(crate) fn sealed(&self) -> Result<&ManifestHeader, SinkError> {
        self.sealed.as_ref().ok_or(SinkError::NotSealed)
    }
}
