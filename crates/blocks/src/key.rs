//! The key of a block: a series with its tags, and where the block starts.
//!
//! As an entry key: the id of the series, escaped and closed so that ids sort as bytes whatever follows,
//! then a fingerprint of the tags, then the start. So the blocks of a series follow each other in time,
//! and a series of one id with other tags is another series. The tags themselves travel as the entry's
//! metadata, and whoever receives an entry checks them against the fingerprint: tags that were lost or
//! changed on the way, by whatever retry, are refused and never stored (row F-36).

use std::collections::BTreeMap;
use std::fmt;

use peerstream_snapshot::content::digest_of_whole;
use peerstream_types::EntryKey;

use crate::limits::{SERIES_ID_LEN_MAX, TAGS_LEN_MAX, TAGS_MAX};

/// Stands for a zero byte of an id.
const ZERO: [u8; 2] = [0, 0xff];
/// Closes an id: sorts before every byte that may follow in a longer one.
const CLOSE: [u8; 2] = [0, 1];
/// Bytes of the tags' fingerprint.
const FINGERPRINT_LEN: usize = 16;

/// Why something is no key of a block. It came from a peer or from the host; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockKeyError {
    /// Empty, or longer than [`SERIES_ID_LEN_MAX`].
    #[error("the id of a series has {0} bytes, 1 to {SERIES_ID_LEN_MAX} are allowed")]
    SeriesLen(usize),
    /// More than [`TAGS_MAX`] tags, or more than [`TAGS_LEN_MAX`] bytes of them.
    #[error("{tags} tags of {len} bytes, at most {TAGS_MAX} of {TAGS_LEN_MAX} bytes are allowed")]
    TooManyTags {
        /// How many.
        tags: usize,
        /// Bytes of their encoding.
        len: usize,
    },
    /// Tags that are not what their encoder writes: out of order, repeated, without a name, cut off.
    #[error("the tags are not canonical: {0}")]
    BadTags(&'static str),
    /// The key is none that this crate makes.
    #[error("the key is not that of a block: {0}")]
    NoBlock(&'static str),
    /// The tags are not those that the key was made of: they were lost or changed on the way.
    #[error("the tags do not belong to the key")]
    OtherTags,
}

/// The tags of a series, in their one canonical encoding: ascending by name, no name twice.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Tags(Vec<u8>);

impl Tags {
    /// Tags from names and values, in any order.
    ///
    /// # Errors
    ///
    /// [`BlockKeyError::TooManyTags`]; [`BlockKeyError::BadTags`] for an empty name or one given twice.
    pub fn new<N, V>(tags: impl IntoIterator<Item = (N, V)>) -> Result<Self, BlockKeyError>
    where
        N: Into<Vec<u8>>,
        V: Into<Vec<u8>>,
    {
        let mut sorted = BTreeMap::new();
        for (name, value) in tags {
            if sorted.insert(name.into(), value.into()).is_some() {
                return Err(BlockKeyError::BadTags("a name is given twice"));
            }
        }
        let mut bytes = Vec::new();
        for part in sorted.iter().flat_map(|(name, value)| [name, value]) {
            let len = u16::try_from(part.len());
            let len = len.map_err(|_| BlockKeyError::TooManyTags { tags: sorted.len(), len: part.len() })?;
            bytes.extend_from_slice(&len.to_be_bytes());
            bytes.extend_from_slice(part);
        }
        Self::decode(&bytes)
    }

    /// Reads what [`Tags::encoded`] gives. Takes anything: bytes of peers come here.
    ///
    /// # Errors
    ///
    /// [`BlockKeyError`] says what is wrong with them.
    pub fn decode(bytes: &[u8]) -> Result<Self, BlockKeyError> {
        let mut count = 0;
        let mut last: &[u8] = &[];
        for tag in pairs(bytes) {
            let (name, _) = tag.ok_or(BlockKeyError::BadTags("they are cut off"))?;
            if name <= last {
                return Err(BlockKeyError::BadTags("names are empty, repeated or out of order"));
            }
            (last, count) = (name, count + 1);
        }
        if count > TAGS_MAX || bytes.len() > TAGS_LEN_MAX {
            return Err(BlockKeyError::TooManyTags { tags: count, len: bytes.len() });
        }
        Ok(Self(bytes.to_vec()))
    }

    /// The canonical encoding, what an entry carries as its metadata.
    pub fn encoded(&self) -> &[u8] {
        &self.0
    }

    /// Names and values, ascending by name.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        pairs(&self.0).flatten()
    }

    fn fingerprint(&self) -> [u8; FINGERPRINT_LEN] {
        let digest = digest_of_whole(&self.0);
        *digest.as_bytes().first_chunk().expect("a digest has 32 bytes")
    }
}

/// Pairs of length-delimited parts; `None` once if they are cut off.
fn pairs(mut bytes: &[u8]) -> impl Iterator<Item = Option<(&[u8], &[u8])>> {
    fn part<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
        let (len, rest) = bytes.split_first_chunk()?;
        let (part, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        *bytes = rest;
        Some(part)
    }
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let pair = part(&mut bytes).and_then(|name| Some((name, part(&mut bytes)?)));
        if pair.is_none() {
            bytes = &[];
        }
        Some(pair)
    })
}

impl fmt::Debug for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs = self.iter().map(|(name, value)| (name.escape_ascii(), value.escape_ascii()));
        f.debug_map().entries(pairs.map(|(n, v)| (n.to_string(), v.to_string()))).finish()
    }
}

/// Names a block: which series, and where in time it starts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockKey {
    id: Vec<u8>,
    tags: Tags,
    start_ms: i64,
}

impl BlockKey {
    /// The block of a series that starts at `start_ms`, in milliseconds since the Unix epoch.
    ///
    /// # Errors
    ///
    /// [`BlockKeyError::SeriesLen`].
    pub fn new(id: impl Into<Vec<u8>>, tags: Tags, start_ms: i64) -> Result<Self, BlockKeyError> {
        let id = id.into();
        if id.is_empty() || id.len() > SERIES_ID_LEN_MAX {
            return Err(BlockKeyError::SeriesLen(id.len()));
        }
        Ok(Self { id, tags, start_ms })
    }

    /// The id of the series.
    pub fn series(&self) -> &[u8] {
        &self.id
    }

    /// The tags of the series.
    pub fn tags(&self) -> &Tags {
        &self.tags
    }

    /// Where the block starts, in milliseconds since the Unix epoch.
    pub fn start_ms(&self) -> i64 {
        self.start_ms
    }

    /// The key of the entry that carries the block. Its metadata is [`Tags::encoded`].
    pub fn to_entry_key(&self) -> EntryKey {
        let mut bytes = Vec::with_capacity(self.id.len() + CLOSE.len() + FINGERPRINT_LEN + 8);
        for byte in &self.id {
            match byte {
                0 => bytes.extend_from_slice(&ZERO),
                byte => bytes.push(*byte),
            }
        }
        bytes.extend_from_slice(&CLOSE);
        bytes.extend_from_slice(&self.tags.fingerprint());
        bytes.extend_from_slice(&ordered(self.start_ms));
        EntryKey::new(bytes).expect("the longest id, escaped, fits an entry key")
    }

    /// Reads the key and the metadata of an entry. Takes anything: what peers list comes here.
    ///
    /// # Errors
    ///
    /// [`BlockKeyError`]; [`BlockKeyError::OtherTags`] if the tags were lost or changed.
    pub fn from_entry(key: &EntryKey, metadata: &[u8]) -> Result<Self, BlockKeyError> {
        let (id, rest) = open_id(key.as_bytes())?;
        let (fingerprint, start) =
            rest.split_first_chunk::<FINGERPRINT_LEN>().ok_or(BlockKeyError::NoBlock("it is too short"))?;
        let start = start.try_into().map_err(|_| BlockKeyError::NoBlock("its length is wrong"))?;
        let tags = Tags::decode(metadata)?;
        if tags.fingerprint() != *fingerprint {
            return Err(BlockKeyError::OtherTags);
        }
        Self::new(id, tags, unordered(start))
    }
}

/// The start of the block that an entry key names, or `None` if it names none.
pub(crate) fn start_of(key: &EntryKey) -> Option<i64> {
    key.as_bytes().last_chunk().copied().map(unordered)
}

/// The id at the beginning of a key, and what follows it.
fn open_id(bytes: &[u8]) -> Result<(Vec<u8>, &[u8]), BlockKeyError> {
    let mut id = Vec::new();
    let mut rest = bytes;
    loop {
        rest = match rest {
            [0, 1, rest @ ..] => return Ok((id, rest)),
            [0, 0xff, rest @ ..] => {
                id.push(0);
                rest
            }
            [0, ..] => return Err(BlockKeyError::NoBlock("a zero byte is not escaped")),
            [byte, rest @ ..] => {
                id.push(*byte);
                rest
            }
            [] => return Err(BlockKeyError::NoBlock("its series is not closed")),
        };
    }
}

/// Sorts as bytes as the number sorts.
fn ordered(number: i64) -> [u8; 8] {
    (number.cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

fn unordered(bytes: [u8; 8]) -> i64 {
    (u64::from_be_bytes(bytes) ^ (1 << 63)).cast_signed()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> Tags {
        Tags::new(pairs.iter().copied()).unwrap()
    }

    fn keys() -> impl Strategy<Value = BlockKey> {
        let id = prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(255), any::<u8>()], 1..6);
        let tags = prop::collection::btree_map("[a-c]{1,2}", "[x-z]{0,2}", 0..3);
        let key = |(id, tags, start): (Vec<u8>, BTreeMap<String, String>, i64)| {
            BlockKey::new(id, Tags::new(tags).unwrap(), start).unwrap()
        };
        (id, tags, any::<i64>()).prop_map(key)
    }

    proptest! {
        /// The key and the metadata of an entry are the block's key again.
        #[test]
        fn a_key_reads_back(key in keys()) {
            let entry = key.to_entry_key();
            prop_assert_eq!(BlockKey::from_entry(&entry, key.tags().encoded()), Ok(key.clone()));
            prop_assert_eq!(start_of(&entry), Some(key.start_ms()));
        }

        /// By series, then by start: what a merge join over replicas needs.
        #[test]
        fn keys_sort_by_series_then_by_start(one in keys(), other in keys()) {
            let by_entry = one.to_entry_key().cmp(&other.to_entry_key());
            if one.series() != other.series() {
                prop_assert_eq!(by_entry, one.series().cmp(other.series()));
            } else if one.tags() == other.tags() {
                prop_assert_eq!(by_entry, one.start_ms().cmp(&other.start_ms()));
            }
        }

        /// Whatever a peer lists, it is a block's key in canonical form or a typed refusal.
        #[test]
        fn hostile_keys_and_tags_are_refused(
            key in prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(255), any::<u8>()], 1..60),
            metadata in prop::collection::vec(prop_oneof![Just(0u8), Just(1), any::<u8>()], 0..20),
        ) {
            let entry = EntryKey::new(key).unwrap();
            if let Ok(block) = BlockKey::from_entry(&entry, &metadata) {
                prop_assert_eq!(block.to_entry_key(), entry);
                prop_assert_eq!(block.tags().encoded(), &metadata[..]);
            }
            if let Ok(tags) = Tags::decode(&metadata) {
                let again = Tags::new(tags.iter());
                prop_assert_eq!(again, Ok(tags));
            }
        }
    }

    /// F-36: tags that were lost on a retry, as the original lost them, are not stored as none.
    #[test]
    fn lost_tags_are_refused() {
        let key = BlockKey::new("cpu", tags(&[("host", "a"), ("zone", "1")]), 0).unwrap();
        let entry = key.to_entry_key();
        assert_eq!(BlockKey::from_entry(&entry, &[]), Err(BlockKeyError::OtherTags));
        let others = tags(&[("host", "a")]);
        assert_eq!(BlockKey::from_entry(&entry, others.encoded()), Err(BlockKeyError::OtherTags));
    }

    /// Bytes that peers compare: they never change.
    #[test]
    fn the_encoding_is_pinned() {
        let key = BlockKey::new([7, 0, 9], tags(&[("b", "2"), ("a", "1")]), -1).unwrap();
        assert_eq!(key.tags().encoded(), b"\0\x01a\0\x011\0\x01b\0\x012");
        let bytes = key.to_entry_key().as_bytes().to_vec();
        assert_eq!(bytes[..6], [7, 0, 0xff, 9, 0, 1]);
        assert_eq!(bytes[6..22], digest_of_whole(key.tags().encoded()).as_bytes()[..16]);
        assert_eq!(bytes[22..], [0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    }

    #[test]
    fn the_longest_key_and_the_longest_tags_fit() {
        let value = vec![b'x'; TAGS_LEN_MAX - 5];
        let key = BlockKey::new(vec![0; SERIES_ID_LEN_MAX], Tags::new([("a", value)]).unwrap(), i64::MIN);
        key.unwrap().to_entry_key();
        assert!(Tags::new([("a", vec![b'x'; TAGS_LEN_MAX])]).is_err());
        assert!(BlockKey::new(vec![1; SERIES_ID_LEN_MAX + 1], Tags::default(), 0).is_err());
        assert!(Tags::new([("", "x")]).is_err());
        assert!(Tags::new([("a", "x"), ("a", "y")]).is_err());
    }
}
