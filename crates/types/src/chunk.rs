//! The unit of verification and scheduling inside an entry, and the groups that outlines are made of.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Chunks of one group, the unit of an outline: a power of two, so that a group is a whole subtree
/// too. 32 KiB of chaining values vouch for 256 MiB at the default chunk size.
pub const GROUP_CHUNKS: u32 = 1_024;

/// Most groups of one entry, so that the chaining values of all of them stay within 2 MiB: 16 TiB of
/// content at the default chunk size. What is longer cannot be verified, and is not taken.
pub const GROUPS_MAX: u32 = 65_536;

/// The size of a chunk in bytes: a power of two from 1 KiB to 16 MiB.
///
/// A power of two because a chunk must be a whole subtree of BLAKE3's tree; at least BLAKE3's own
/// chunk of 1 KiB; at most what one receiver buffers to verify it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct ChunkSize(u8);

/// Why a chunk size was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a chunk is a power of two from 1 KiB to 16 MiB, not {0} bytes")]
pub struct ChunkSizeError(pub u64);

impl ChunkSize {
    const LOG_MIN: u8 = 10;
    const LOG_MAX: u8 = 24;

    /// 256 KiB: 0.012 % of the data as chaining values, and small enough to find and replace a bad
    /// one cheaply.
    pub const DEFAULT: Self = Self(18);

    /// Checks a size in bytes.
    ///
    /// # Errors
    ///
    /// [`ChunkSizeError`] if it is no power of two between 1 KiB and 16 MiB.
    pub fn new(bytes: u64) -> Result<Self, ChunkSizeError> {
        if !bytes.is_power_of_two() {
            return Err(ChunkSizeError(bytes));
        }
        Self::try_from(bytes.trailing_zeros() as u8).map_err(|_| ChunkSizeError(bytes))
    }

    /// The size in bytes.
    pub fn bytes(self) -> u64 {
        1 << self.0
    }

    /// How many chunks an entry of `len` bytes has; the last one may be short.
    pub fn chunks_in(self, len: u64) -> u64 {
        len.div_ceil(self.bytes())
    }

    /// Where chunk `index` begins in its entry, or `None` if no entry can have it.
    pub fn offset_of(self, index: ChunkIndex) -> Option<u64> {
        index.0.checked_mul(self.bytes())
    }

    /// The length of chunk `index` in an entry of `len` bytes: zero past the end.
    pub fn len_of(self, index: ChunkIndex, len: u64) -> u64 {
        let offset = self.offset_of(index).unwrap_or(u64::MAX);
        len.saturating_sub(offset).min(self.bytes())
    }

    /// How many bytes the chunks of `range` have in an entry of `len` bytes.
    pub fn bytes_in(self, range: ChunkRange, len: u64) -> u64 {
        let at = |index: u64| index.saturating_mul(self.bytes()).min(len);
        at(range.end()) - at(range.first.0)
    }

    /// The size of a whole group in bytes.
    pub fn group_bytes(self) -> u64 {
        self.bytes() * u64::from(GROUP_CHUNKS)
    }

    /// How many groups an entry of `len` bytes has; the last one may be short.
    pub fn groups_in(self, len: u64) -> u64 {
        len.div_ceil(self.group_bytes())
    }

    /// The chunks of a group in an entry of `len` bytes: none past the end.
    pub fn chunks_of(self, group: GroupIndex, len: u64) -> ChunkRange {
        let first = group.0.saturating_mul(u64::from(GROUP_CHUNKS));
        let count = self.chunks_in(len).saturating_sub(first).min(u64::from(GROUP_CHUNKS));
        ChunkRange { first: ChunkIndex(first), count: u32::try_from(count).unwrap_or(GROUP_CHUNKS) }
    }
}

impl Default for ChunkSize {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl TryFrom<u8> for ChunkSize {
    type Error = ChunkSizeError;
    fn try_from(log: u8) -> Result<Self, ChunkSizeError> {
        match log {
            Self::LOG_MIN..=Self::LOG_MAX => Ok(Self(log)),
            _ => Err(ChunkSizeError(1u64.checked_shl(u32::from(log)).unwrap_or(0))),
        }
    }
}

impl From<ChunkSize> for u8 {
    fn from(size: ChunkSize) -> Self {
        size.0
    }
}

/// A chunk's place in its entry, counted from zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChunkIndex(pub u64);

impl ChunkIndex {
    /// The group that the chunk is in.
    pub fn group(self) -> GroupIndex {
        GroupIndex(self.0 / u64::from(GROUP_CHUNKS))
    }
}

impl fmt::Display for ChunkIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A group's place in its entry, counted from zero: [`GROUP_CHUNKS`] chunks, the last one fewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupIndex(pub u64);

impl fmt::Display for GroupIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A run of chunks of one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChunkRange {
    /// First chunk.
    pub first: ChunkIndex,
    /// How many.
    pub count: u32,
}

impl ChunkRange {
    /// One chunk.
    pub fn one(index: ChunkIndex) -> Self {
        Self { first: index, count: 1 }
    }

    /// The index after the last chunk.
    pub fn end(self) -> u64 {
        self.first.0.saturating_add(u64::from(self.count))
    }

    /// The chunks one by one.
    pub fn iter(self) -> impl Iterator<Item = ChunkIndex> {
        (self.first.0..self.end()).map(ChunkIndex)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_powers_of_two_in_range_are_sizes() {
        assert_eq!(ChunkSize::new(256 * 1024).unwrap(), ChunkSize::DEFAULT);
        for bad in [0, 1, 512, 1025, 3 << 18, 32 << 20, u64::MAX] {
            assert!(ChunkSize::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_last_chunk_is_short_and_none_follow_it() {
        let size = ChunkSize::new(1024).unwrap();
        let lens: Vec<u64> = (0..4).map(|i| size.len_of(ChunkIndex(i), 2500)).collect();
        assert_eq!(lens, [1024, 1024, 452, 0]);
        assert_eq!(size.chunks_in(0), 0);
        assert_eq!(size.len_of(ChunkIndex(u64::MAX), 2500), 0);
        assert_eq!(size.bytes_in(ChunkRange { first: ChunkIndex(1), count: 9 }, 2500), 1476);
        assert_eq!(size.bytes_in(ChunkRange { first: ChunkIndex(9), count: 9 }, 2500), 0);
    }

    #[test]
    fn groups_cover_the_chunks_of_an_entry() {
        let size = ChunkSize::new(1024).unwrap();
        assert_eq!(size.groups_in(0), 0);
        for chunks in [1, 1023, 1024, 1025, 2048, 5000] {
            let len = chunks * 1024 - 7;
            let groups = (0..size.groups_in(len)).map(|group| size.chunks_of(GroupIndex(group), len));
            let covered: Vec<ChunkIndex> = groups.flat_map(ChunkRange::iter).collect();
            assert_eq!(covered, (0..chunks).map(ChunkIndex).collect::<Vec<_>>());
            for index in covered {
                let range = size.chunks_of(index.group(), len);
                assert!((range.first.0..range.end()).contains(&index.0), "{index}");
            }
            assert_eq!(size.chunks_of(GroupIndex(size.groups_in(len)), len).count, 0);
        }
        assert_eq!(size.chunks_of(GroupIndex(u64::MAX), u64::MAX).count, 0);
        assert_eq!(ChunkSize::new(16 << 20).unwrap().groups_in(u64::MAX), 1 << 30);
    }
}
