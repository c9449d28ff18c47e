//! Whether the pages of a peer's listing are one manifest.

use peerstream_types::{Entry, EntryKey, ManifestHeader, Ordinal, Selector};

use super::ManifestHasher;

/// A listing that cannot be right. The peer that lists is at fault; nothing was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestFault {
    /// Entries are missing, or come twice.
    #[error("ordinals do not continue")]
    Ordinals,
    /// A key is not above the one before.
    #[error("keys do not ascend")]
    Keys,
    /// The request was for other entries.
    #[error("an entry was listed that was not selected")]
    NotSelected,
    /// Other counts, or chunks of another size than were offered.
    #[error("the sealed header does not fit the pages")]
    Seal,
    /// The entries are not those that were hashed.
    #[error("the manifest's digest does not fit its entries")]
    Digest,
    /// It was sealed when it was offered, and another one was listed.
    #[error("the manifest is not the one that was offered")]
    NotOffered,
}

/// Checks a listing page by page: that each goes on where the one before ended, and in the end that
/// all of it is what the source sealed and, if it was sealed then, offered. Holds a digest and one
/// key, however long the listing is.
#[derive(Debug, Clone)]
pub struct ManifestCheck {
    offered: ManifestHeader,
    selector: Selector,
    hasher: ManifestHasher,
    last: Option<EntryKey>,
}

impl ManifestCheck {
    /// Before the first page of what was offered for a selector.
    pub fn new(offered: ManifestHeader, selector: Selector) -> Self {
        Self { offered, selector, hasher: ManifestHasher::new(), last: None }
    }

    /// Takes the entries of the next page, and the sealed header if it is the last.
    ///
    /// # Errors
    ///
    /// [`ManifestFault`] says what does not fit. The check is of no use then: a copy from before the
    /// page is.
    pub fn page(&mut self, entries: &[Entry], sealed: Option<&ManifestHeader>) -> Result<(), ManifestFault> {
        let mut last = self.last.as_ref();
        for entry in entries {
            if entry.ordinal != Ordinal(self.hasher.counts().entries) {
                return Err(ManifestFault::Ordinals);
            }
            if last.is_some_and(|last| *last >= entry.key) {
                return Err(ManifestFault::Keys);
            }
            if !self.selector.admits(entry) {
                return Err(ManifestFault::NotSelected);
            }
            self.hasher.entry(entry);
            last = Some(&entry.key);
        }
        self.last = last.cloned();
        sealed.map_or(Ok(()), |sealed| self.seal(sealed))
    }

    fn seal(&self, sealed: &ManifestHeader) -> Result<(), ManifestFault> {
        if sealed.counts != self.hasher.counts() || sealed.chunk_size != self.offered.chunk_size {
            return Err(ManifestFault::Seal);
        }
        if sealed.digest != Some(self.hasher.clone().seal(sealed)) {
            return Err(ManifestFault::Digest);
        }
        if self.offered.is_sealed() && self.offered != *sealed {
            return Err(ManifestFault::NotOffered);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use peerstream_types::{ChunkSize, Codec, Digest, EntryCounts, EntryKind};

    use super::*;

    fn entry(ordinal: u64, key: &str) -> Entry {
        Entry {
            ordinal: Ordinal(ordinal),
            key: EntryKey::new(key).unwrap(),
            len: 8,
            digest: Some(Digest::Blake3([ordinal as u8; 32])),
            kind: EntryKind::Block,
            codec: Codec::Plain,
            metadata: Vec::new(),
        }
    }

    fn open() -> ManifestHeader {
        ManifestHeader {
            chunk_size: ChunkSize::DEFAULT,
            counts: EntryCounts::default(),
            digest: None,
            position: None,
            state: Vec::new(),
        }
    }

    fn sealed(entries: &[Entry]) -> ManifestHeader {
        let mut hasher = ManifestHasher::new();
        entries.iter().for_each(|entry| hasher.entry(entry));
        let header = ManifestHeader { counts: hasher.counts(), ..open() };
        ManifestHeader { digest: Some(hasher.seal(&header)), ..header }
    }

    fn check(offered: &ManifestHeader) -> ManifestCheck {
        ManifestCheck::new(offered.clone(), Selector::All)
    }

    #[test]
    fn pages_that_are_the_manifest_pass() {
        let entries = [entry(0, "a"), entry(1, "b"), entry(2, "c")];
        let seal = sealed(&entries);
        for offered in [open(), seal.clone()] {
            let mut check = check(&offered);
            check.page(&entries[..2], None).unwrap();
            check.page(&entries[2..], Some(&seal)).unwrap();
        }
    }

    #[test]
    fn pages_that_do_not_continue_are_refused() {
        let refused = |entries: [Entry; 2]| {
            let mut check = check(&open());
            check.page(&entries[..1], None).unwrap();
            check.page(&entries[1..], None).unwrap_err()
        };
        assert_eq!(refused([entry(0, "a"), entry(2, "b")]), ManifestFault::Ordinals);
        assert_eq!(refused([entry(0, "b"), entry(1, "a")]), ManifestFault::Keys);
        assert_eq!(refused([entry(0, "b"), entry(1, "b")]), ManifestFault::Keys);
        let keys = Selector::Keys { start: None, end: Some(EntryKey::new("b").unwrap()) };
        let mut narrow = ManifestCheck::new(open(), keys);
        let entries = [entry(0, "a"), entry(1, "b")];
        assert_eq!(narrow.page(&entries, None), Err(ManifestFault::NotSelected));
    }

    #[test]
    fn a_seal_of_something_else_is_refused() {
        let (entries, other) = ([entry(0, "a")], [Entry { len: 9, ..entry(0, "a") }]);
        let refused =
            |offered: &ManifestHeader, seal: &ManifestHeader| check(offered).page(&entries, Some(seal));
        let longer = sealed(&[entry(0, "a"), entry(1, "b")]);
        assert_eq!(refused(&open(), &longer), Err(ManifestFault::Seal));
        let foreign = ManifestHeader { digest: sealed(&other).digest, ..sealed(&entries) };
        assert_eq!(refused(&open(), &foreign), Err(ManifestFault::Digest));
        assert_eq!(refused(&sealed(&other), &sealed(&entries)), Err(ManifestFault::NotOffered));
    }
}
