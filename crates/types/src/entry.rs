//! One keyed byte sequence of a shard.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{ChunkSize, Digest};

/// Longest entry key in bytes: room for deep relative paths (`PATH_MAX` is 4,096 on Linux), small
/// enough that a page of keys stays bounded.
pub const KEY_LEN_MAX: usize = 1024;
/// Longest single path component in bytes (`NAME_MAX` of the usual file systems).
pub const COMPONENT_LEN_MAX: usize = 255;
/// Longest opaque metadata of an entry in bytes: tags and a level, not a second payload.
pub const METADATA_LEN_MAX: usize = 4096;

/// An entry's place in its manifest, counted in key order from zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ordinal(pub u64);

impl fmt::Display for Ordinal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Why a key was refused (rows F-60 and A31). It came from a peer or from the local store; nothing
/// was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A key has at least one byte.
    #[error("entry key is empty")]
    Empty,
    /// Longer than [`KEY_LEN_MAX`].
    #[error("entry key has {0} bytes, at most {KEY_LEN_MAX} are allowed")]
    TooLong(usize),
    /// Not a plain relative path.
    #[error("entry key {key:?} is not a plain relative path: {why}")]
    BadPath {
        /// The key, lossily and shortened, for the operator.
        key: String,
        /// The rule that it breaks.
        why: &'static str,
    },
}

/// The key of an entry: opaque bytes for a block store, a checked relative path for files.
///
/// Any key of up to [`KEY_LEN_MAX`] bytes can be carried. What becomes a file name must pass
/// [`EntryKey::as_path`], which is checked on the sending and on the receiving side.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryKey(Box<[u8]>);

impl EntryKey {
    /// Keeps an opaque key.
    ///
    /// # Errors
    ///
    /// Empty keys and keys over [`KEY_LEN_MAX`] bytes are refused.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, KeyError> {
        let bytes = bytes.into();
        match bytes.len() {
            0 => Err(KeyError::Empty),
            len if len > KEY_LEN_MAX => Err(KeyError::TooLong(len)),
            _ => Ok(Self(bytes.into_boxed_slice())),
        }
    }

    /// Keeps a relative path with `/` between its components.
    ///
    /// # Errors
    ///
    /// Everything that [`EntryKey::as_path`] refuses.
    pub fn from_path(path: &str) -> Result<Self, KeyError> {
        let key = Self::new(path)?;
        key.as_path()?;
        Ok(key)
    }

    /// The bytes of the key.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The key as a relative path that stays inside the directory it is joined to.
    ///
    /// # Errors
    ///
    /// Refused are: text that is not UTF-8, control characters, backslashes and colons (drive
    /// letters, streams and URL schemes elsewhere), a leading slash, empty, `.` and `..`
    /// components, components over [`COMPONENT_LEN_MAX`] bytes.
    pub fn as_path(&self) -> Result<&str, KeyError> {
        let bad = |why| {
            let key = String::from_utf8_lossy(&self.0).chars().take(120).collect();
            Err(KeyError::BadPath { key, why })
        };
        let Ok(path) = std::str::from_utf8(&self.0) else {
            return bad("it is not UTF-8");
        };
        if path.chars().any(char::is_control) {
            return bad("it holds a control character");
        }
        if path.contains(['\\', ':']) {
            return bad("it holds a backslash or a colon");
        }
        for component in path.split('/') {
            match component {
                "" => return bad("it is absolute or has an empty component"),
                "." | ".." => return bad("it has a '.' or '..' component"),
                c if c.len() > COMPONENT_LEN_MAX => return bad("a component is longer than 255 bytes"),
                _ => {}
            }
        }
        Ok(path)
    }
}

impl TryFrom<Vec<u8>> for EntryKey {
    type Error = KeyError;
    fn try_from(bytes: Vec<u8>) -> Result<Self, KeyError> {
        Self::new(bytes)
    }
}

impl From<EntryKey> for Vec<u8> {
    fn from(key: EntryKey) -> Self {
        key.0.into_vec()
    }
}

// As bytes rather than as a list of numbers: the same on the wire, and many times as fast.
impl Serialize for EntryKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_bytes::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for EntryKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes: Vec<u8> = serde_bytes::deserialize(deserializer)?;
        Self::new(bytes).map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for EntryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

impl fmt::Debug for EntryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EntryKind {
    /// A file; the key is its relative path.
    File,
    /// A block of a mergeable dataset.
    Block,
    /// A delete that must travel like data.
    Tombstone,
}

impl EntryKind {
    /// A number that never changes, for digests and files.
    pub fn code(self) -> u8 {
        match self {
            Self::File => 0,
            Self::Block => 1,
            Self::Tombstone => 2,
        }
    }
}

/// How an entry's bytes are encoded on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Codec {
    /// As they are.
    Plain,
}

impl Codec {
    /// A number that never changes, for record headers, digests and files.
    pub fn code(self) -> u8 {
        match self {
            Self::Plain => 0,
        }
    }

    /// The codec of a number, if it is known here.
    pub fn from_code(code: u8) -> Option<Self> {
        (code == 0).then_some(Self::Plain)
    }
}

/// One line of an inventory or manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Place in the manifest.
    pub ordinal: Ordinal,
    /// Key; entries are listed in ascending byte order of it, without repeats.
    pub key: EntryKey,
    /// Length in bytes.
    pub len: u64,
    /// Digest of the whole content; `None` for a mutable entry that its source has frozen for this
    /// snapshot and will declare before it sends.
    pub digest: Option<Digest>,
    /// What it is.
    pub kind: EntryKind,
    /// How its bytes travel.
    pub codec: Codec,
    /// Opaque to peerstream, at most [`METADATA_LEN_MAX`] bytes: tags, level. Kept through every
    /// retry (row F-36).
    #[serde(with = "serde_bytes")]
    pub metadata: Vec<u8>,
}

impl Entry {
    /// The number of chunks, zero for an empty entry.
    pub fn chunks(&self, size: ChunkSize) -> u64 {
        size.chunks_in(self.len)
    }

    /// The number of groups of chunks, zero for an empty entry.
    pub fn groups(&self, size: ChunkSize) -> u64 {
        size.groups_in(self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// F-60, A31: names that leave the directory, or mean something else elsewhere, are refused.
    #[test]
    fn hostile_paths_are_refused() {
        let long = "x".repeat(COMPONENT_LEN_MAX + 1);
        let bad = [
            "",
            "/etc/passwd",
            "..",
            "a/../b",
            "./a",
            "a//b",
            "a/",
            "a\0b",
            "a\nb",
            "C:\\x",
            "s3://b/k",
            &long,
        ];
        for path in bad {
            assert!(EntryKey::from_path(path).is_err(), "{path:?}");
        }
        assert!(EntryKey::new(vec![b'x'; KEY_LEN_MAX + 1]).is_err());
        assert!(EntryKey::new(vec![0xff, 0xfe]).unwrap().as_path().is_err());
    }

    #[test]
    fn plain_relative_paths_are_kept() {
        for path in ["a", "000012.sst", "level-0/a b/c.parquet", "..a", "a..b", ".hidden"] {
            assert_eq!(EntryKey::from_path(path).unwrap().as_path().unwrap(), path);
        }
    }

    #[test]
    fn an_oversized_key_on_the_wire_does_not_decode() {
        let bytes = postcard::to_stdvec(&vec![1u8; KEY_LEN_MAX + 1]).unwrap();
        assert!(postcard::from_bytes::<EntryKey>(&bytes).is_err());
    }

    /// What was written as a list of numbers is read as bytes, and the other way round.
    #[test]
    fn keys_are_encoded_like_lists_of_bytes() {
        let list = postcard::to_stdvec(&b"series/2h".to_vec()).unwrap();
        let key = EntryKey::new(*b"series/2h").unwrap();
        assert_eq!(postcard::to_stdvec(&key).unwrap(), list);
        assert_eq!(postcard::from_bytes::<EntryKey>(&list).unwrap(), key);
    }
}
