//! What a sink checks of a manifest before it makes anything of it.

use std::sync::Arc;

use peerstream_types::entry::METADATA_LEN_MAX;
use peerstream_types::manifest::STATE_LEN_MAX;
use peerstream_types::{ChunkSize, Entry, EntryKey, EntryKind, KeyError, ManifestHeader, Position};

use crate::limits::ENTRIES_MAX;
use crate::{ManifestHasher, SinkError, verify};

/// Checks the entries of a manifest as they are admitted, and its header when it is sealed.
///
/// Keys come in ascending byte order without repeats, ordinals count from zero. The key of a file
/// is a plain relative path, and no file is named where another needs a directory (rows F-60, A31).
/// Every entry can be verified.
#[derive(Debug, Clone)]
pub struct Admission {
    chunk_size: ChunkSize,
    entries_max: u64,
    hasher: ManifestHasher,
    /// The last key, after every earlier one that it begins with: in byte order, whatever lies
    /// between a key and its extension extends the key too. At most as deep as a key is long.
    stems: Vec<EntryKey>,
}

impl Admission {
    /// Begins a manifest of at most [`ENTRIES_MAX`] entries.
    ///
    /// # Errors
    ///
    /// [`SinkError::BadManifest`] for a header that is larger than allowed.
    pub fn begin(header: &ManifestHeader) -> Result<Self, SinkError> {
        Self::begin_up_to(header, ENTRIES_MAX as u64)
    }

    /// Begins a manifest of at most `entries_max` entries: for sinks that keep it on disk.
    ///
    /// # Errors
    ///
    /// As for [`Admission::begin`].
    pub fn begin_up_to(header: &ManifestHeader, entries_max: u64) -> Result<Self, SinkError> {
        check_header(header)?;
        let (chunk_size, hasher) = (header.chunk_size, ManifestHasher::new());
        Ok(Self { chunk_size, entries_max, hasher, stems: Vec::new() })
    }

    /// How content is cut.
    pub fn chunk_size(&self) -> ChunkSize {
        self.chunk_size
    }

    /// Checks the next entries. After an error the admission is of no more use: work on a clone.
    ///
    /// # Errors
    ///
    /// [`SinkError::BadKey`], [`SinkError::DuplicateKey`], [`SinkError::BadEntry`],
    /// [`SinkError::BadManifest`].
    pub fn admit(&mut self, entries: &[Arc<Entry>]) -> Result<(), SinkError> {
        entries.iter().try_for_each(|entry| self.admit_one(entry))
    }

    fn admit_one(&mut self, entry: &Entry) -> Result<(), SinkError> {
        let counts = self.hasher.counts();
        if counts.entries >= self.entries_max {
            return Err(SinkError::BadManifest(format!("more than {} entries", self.entries_max)));
        }
        if entry.ordinal.0 != counts.entries {
            let why = format!("entry {} where #{} was expected", entry.ordinal, counts.entries);
            return Err(SinkError::BadManifest(why));
        }
        self.check_key(entry)?;
        let bad = |why: String| SinkError::BadEntry { key: entry.key.clone(), why };
        if entry.metadata.len() > METADATA_LEN_MAX {
            return Err(bad(format!("{} bytes of metadata", entry.metadata.len())));
        }
        if counts.bytes.checked_add(entry.len).is_none() {
            return Err(bad("the lengths add up to more than can be counted".into()));
        }
        verify::scheme(entry, self.chunk_size).map_err(|error| bad(error.to_string()))?;
        self.hasher.entry(entry);
        Ok(())
    }

    fn check_key(&mut self, entry: &Entry) -> Result<(), SinkError> {
        let key = &entry.key;
        if self.stems.last().is_some_and(|last| key <= last) {
            return Err(SinkError::DuplicateKey(key.clone()));
        }
        while self.stems.last().is_some_and(|stem| !key.as_bytes().starts_with(stem.as_bytes())) {
            self.stems.pop();
        }
        if entry.kind == EntryKind::File {
            let path = key.as_path()?;
            let parent = |stem: &EntryKey| path.as_bytes().get(stem.as_bytes().len()) == Some(&b'/');
            if let Some(stem) = self.stems.iter().find(|stem| parent(stem)) {
                let key = stem.to_string().chars().take(120).collect();
                return Err(KeyError::BadPath { key, why: "another entry needs it as a directory" }.into());
            }
        }
        self.stems.push(key.clone());
        Ok(())
    }

    /// Checks the sealed header against what was admitted.
    ///
    /// # Errors
    ///
    /// [`SinkError::BadManifest`] says what does not fit.
    pub fn seal(&self, header: &ManifestHeader) -> Result<(), SinkError> {
        check_header(header)?;
        let counts = self.hasher.counts();
        let why = if header.chunk_size != self.chunk_size {
            "another chunk size than it began with".into()
        } else if header.counts != counts {
            let (said, came) = (header.counts.entries, counts.entries);
            format!("{said} entries of {} bytes, but {came} of {} came", header.counts.bytes, counts.bytes)
        } else if header.digest != Some(self.hasher.clone().seal(header)) {
            "its digest is another".into()
        } else {
            return Ok(());
        };
        Err(SinkError::BadManifest(why))
    }
}

fn check_header(header: &ManifestHeader) -> Result<(), SinkError> {
    if header.state.len() > STATE_LEN_MAX {
        return Err(SinkError::BadManifest(format!("{} bytes of state", header.state.len())));
    }
    if !header.position.as_ref().is_none_or(Position::is_well_formed) {
        return Err(SinkError::BadManifest("its position is too long".into()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use peerstream_types::{Codec, EntryCounts, Ordinal};

    use super::*;
    use crate::content::digest_of_whole;

    fn header() -> ManifestHeader {
        let (chunk_size, counts) = (ChunkSize::DEFAULT, EntryCounts::default());
        ManifestHeader { chunk_size, counts, digest: None, position: None, state: Vec::new() }
    }

    fn admit(keys: &[&str]) -> Result<(), SinkError> {
        let entry = |(ordinal, key): (u64, &&str)| {
            Arc::new(Entry {
                ordinal: Ordinal(ordinal),
                key: EntryKey::new(key.as_bytes()).unwrap(),
                len: 1,
                digest: Some(digest_of_whole(b"x")),
                kind: EntryKind::File,
                codec: Codec::Plain,
                metadata: Vec::new(),
            })
        };
        let entries: Vec<_> = (0..).zip(keys).map(entry).collect();
        Admission::begin(&header()).unwrap().admit(&entries)
    }

    /// F-60: a file where another entry needs a directory is found, however far apart they are.
    #[test]
    fn a_file_and_a_directory_of_one_name_clash() {
        for clash in [&["a", "a/b"][..], &["a", "a-b", "a.b", "a.b.c", "a/b"], &["x/y", "x/y.z", "x/y/z"]] {
            assert!(matches!(admit(clash), Err(SinkError::BadKey(_))), "{clash:?}");
        }
        for fine in [&["a/b", "a/c", "ab"][..], &["a", "ab", "b/a"], &["a.b", "a/b"]] {
            assert_eq!(admit(fine), Ok(()), "{fine:?}");
        }
    }

    #[test]
    fn keys_out_of_order_are_refused() {
        for bad in [&["b", "a"][..], &["a", "a"], &["a/b", "a"]] {
            assert!(matches!(admit(bad), Err(SinkError::DuplicateKey(_))), "{bad:?}");
        }
    }

    #[test]
    fn an_oversized_header_is_refused() {
        let state = vec![0; STATE_LEN_MAX + 1];
        assert!(Admission::begin(&ManifestHeader { state, ..header() }).is_err());
        let position = Position { log: "x".repeat(1000), epoch: 0, token: Vec::new() };
        assert!(Admission::begin(&ManifestHeader { position: Some(position), ..header() }).is_err());
    }
}
