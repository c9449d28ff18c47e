//! A sealed manifest in memory: what a source needs to answer pages, ranges and selectors.

use std::sync::Arc;

use peerstream_types::{
    ChunkRange, ChunkSize, Entry, EntryKey, ManifestHeader, Ordinal, PageToken, Position, Selector,
};

use crate::limits::{ENTRIES_MAX, READ_LEN_MAX};
use crate::{ManifestHasher, Page, SourceError};

/// All entries of a snapshot in key order, with the sealed header. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Listing {
    header: ManifestHeader,
    entries: Arc<[Entry]>,
}

/// What a manifest says beside its entries.
#[derive(Debug, Clone, Default)]
pub struct Frame {
    /// How content is cut.
    pub chunk_size: ChunkSize,
    /// Where the change log continues; captured before the image was taken.
    pub position: Option<Position>,
    /// What the store needs to open the data.
    pub state: Vec<u8>,
}

/// Why entries make no manifest: the store that listed them is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListingError {
    /// One key, two entries.
    #[error("{0} is listed twice")]
    Duplicate(EntryKey),
    /// More than [`ENTRIES_MAX`] entries.
    #[error("{0} entries, at most {ENTRIES_MAX} are allowed")]
    TooMany(usize),
}

impl Listing {
    /// Sorts entries by key, numbers them and seals the manifest.
    ///
    /// # Errors
    ///
    /// [`ListingError`] says why they make none.
    pub fn seal(mut entries: Vec<Entry>, frame: Frame) -> Result<Self, ListingError> {
        if entries.len() > ENTRIES_MAX {
            return Err(ListingError::TooMany(entries.len()));
        }
        entries.sort_by(|a, b| a.key.cmp(&b.key));
        if let Some(pair) = entries.windows(2).find(|pair| pair[0].key == pair[1].key) {
            return Err(ListingError::Duplicate(pair[0].key.clone()));
        }
        let mut hasher = ManifestHasher::new();
        for (ordinal, entry) in (0..).zip(&mut entries) {
            entry.ordinal = Ordinal(ordinal);
            hasher.entry(entry);
        }
        let Frame { chunk_size, position, state } = frame;
        let counts = hasher.counts();
        let mut header = ManifestHeader { chunk_size, counts, digest: None, position, state };
        header.digest = Some(hasher.seal(&header));
        Ok(Self { header, entries: entries.into() })
    }

    /// The sealed header.
    pub fn header(&self) -> &ManifestHeader {
        &self.header
    }

    /// The entries; each one's ordinal is its place.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// An entry by its ordinal.
    ///
    /// # Errors
    ///
    /// [`SourceError::NoSuchEntry`].
    pub fn entry(&self, ordinal: Ordinal) -> Result<&Entry, SourceError> {
        let place = usize::try_from(ordinal.0).ok();
        place.and_then(|place| self.entries.get(place)).ok_or(SourceError::NoSuchEntry(ordinal))
    }

    /// The entries of a run of ordinals.
    ///
    /// # Errors
    ///
    /// [`SourceError::NoSuchEntry`] for the first ordinal past the end.
    pub fn run(&self, first: Ordinal, count: u32) -> Result<&[Entry], SourceError> {
        let past = Ordinal(first.0.max(self.entries.len() as u64));
        let from = usize::try_from(first.0).map_err(|_| SourceError::NoSuchEntry(past))?;
        let to = from.checked_add(count as usize);
        to.and_then(|to| self.entries.get(from..to)).ok_or(SourceError::NoSuchEntry(past))
    }

    /// The entry, if it has the bytes asked for and they may be read at once.
    ///
    /// # Errors
    ///
    /// [`SourceError::NoSuchEntry`]; [`SourceError::BadRange`] past its end, or for more than
    /// [`READ_LEN_MAX`] bytes.
    pub fn bytes(&self, ordinal: Ordinal, offset: u64, len: usize) -> Result<&Entry, SourceError> {
        let entry = self.entry(ordinal)?;
        let end = offset.checked_add(len as u64);
        let inside = len <= READ_LEN_MAX && end.is_some_and(|end| end <= entry.len);
        inside.then_some(entry).ok_or(SourceError::BadRange(ordinal))
    }

    /// The entry and the places of some chunks in its outline (level 0), or of some groups in its top
    /// (level 1).
    ///
    /// # Errors
    ///
    /// [`SourceError::NoSuchEntry`]; [`SourceError::BadRange`] for chunks or groups that it does not
    /// have, for an entry of at most one chunk or group (which has no outline or top), and for other
    /// levels.
    pub fn chunks(
        &self,
        ordinal: Ordinal,
        level: u8,
        range: ChunkRange,
    ) -> Result<(&Entry, std::ops::Range<usize>), SourceError> {
        let entry = self.entry(ordinal)?;
        let size = self.header.chunk_size;
        let count = match level {
            0 => entry.chunks(size),
            1 => entry.groups(size),
            _ => 0,
        };
        if count < 2 || range.end() > count {
            return Err(SourceError::BadRange(ordinal));
        }
        let place = |chunk| usize::try_from(chunk).map_err(|_| SourceError::BadRange(ordinal));
        Ok((entry, place(range.first.0)?..place(range.end())?))
    }

    /// A page, as [`Snapshot::page`](crate::Snapshot::page) answers it.
    ///
    /// # Errors
    ///
    /// [`SourceError::BadToken`] for a token that no page of this manifest gave.
    pub fn page(&self, token: &PageToken, limit: usize) -> Result<Page, SourceError> {
        let from = self.place(token)?;
        let to = from.saturating_add(limit.max(1)).min(self.entries.len());
        let last = to == self.entries.len();
        Ok(Page {
            entries: self.entries[from..to].to_vec(),
            next: (!last).then(|| self.token(to)),
            sealed: last.then(|| self.header.clone()),
        })
    }

    /// The selected entries as a manifest of their own, and where each of them is in this one;
    /// `None` if keys do not tell what is selected.
    pub fn select(&self, selector: &Selector) -> Option<(Self, Vec<usize>)> {
        let mut places = Vec::new();
        for (place, entry) in self.entries.iter().enumerate() {
            if selector.selects_key(&entry.key)? {
                places.push(place);
            }
        }
        // An empty manifest asks no entry, but has to refuse what it cannot judge all the same.
        if matches!(selector, Selector::Time { .. }) {
            return None;
        }
        let entries = places.iter().map(|place| self.entries[*place].clone()).collect();
        let ManifestHeader { chunk_size, position, state, .. } = self.header.clone();
        let listing = Self::seal(entries, Frame { chunk_size, position, state });
        Some((listing.expect("a part of a manifest is a manifest"), places))
    }

    /// A token is the place of the next entry and a part of the digest, so that it fits no other
    /// manifest by chance.
    fn token(&self, place: usize) -> PageToken {
        let mut token = (place as u64).to_be_bytes().to_vec();
        token.extend_from_slice(self.mark());
        PageToken::new(token).expect("16 bytes are a token")
    }

    fn place(&self, token: &PageToken) -> Result<usize, SourceError> {
        if *token == PageToken::START {
            return Ok(0);
        }
        let place = token.as_bytes().split_first_chunk().filter(|(_, mark)| *mark == self.mark());
        let place = place.and_then(|(place, _)| usize::try_from(u64::from_be_bytes(*place)).ok());
        place.filter(|place| (1..self.entries.len()).contains(place)).ok_or(SourceError::BadToken)
    }

    fn mark(&self) -> &[u8] {
        self.header.digest.as_ref().map_or(&[], |digest| &digest.as_bytes()[..8])
    }
}

#[cfg(test)]
mod tests {
    use peerstream_types::{ChunkIndex, Codec, EntryKind};

    use super::*;

    fn entry(path: &str, len: u64) -> Entry {
        Entry {
            ordinal: Ordinal(0),
            key: EntryKey::from_path(path).unwrap(),
            len,
            digest: None,
            kind: EntryKind::File,
            codec: Codec::Plain,
            metadata: Vec::new(),
        }
    }

    #[test]
    fn entries_are_sorted_and_numbered() {
        let listing =
            Listing::seal(vec![entry("b", 1), entry("a/b", 2), entry("a.b", 3)], Frame::default()).unwrap();
        let keys: Vec<String> = listing.entries().iter().map(|e| e.key.to_string()).collect();
        assert_eq!(keys, ["a.b", "a/b", "b"]);
        assert_eq!(listing.entries()[2].ordinal, Ordinal(2));
        assert_eq!(listing.header().counts.bytes, 6);
    }

    #[test]
    fn a_key_listed_twice_makes_no_manifest() {
        let result = Listing::seal(vec![entry("a", 1), entry("b", 1), entry("a", 2)], Frame::default());
        assert_eq!(result.unwrap_err(), ListingError::Duplicate(EntryKey::from_path("a").unwrap()));
    }

    #[test]
    fn ranges_that_overflow_are_refused() {
        let listing = Listing::seal(vec![entry("a", 1 << 40)], Frame::default()).unwrap();
        assert!(listing.bytes(Ordinal(0), u64::MAX, 2).is_err());
        assert!(listing.bytes(Ordinal(0), 0, READ_LEN_MAX + 1).is_err());
        assert!(listing.bytes(Ordinal(0), (1 << 40) - 1, 1).is_ok());
        let all = ChunkRange { first: ChunkIndex(u64::MAX), count: u32::MAX };
        assert!(listing.chunks(Ordinal(0), 0, all).is_err());
        assert!(listing.entry(Ordinal(u64::MAX)).is_err());
    }
}
