//! The chaining values of the entries of a catalog, each checked against the digest of its entry
//! whenever it is read: what was not written yet, or is damaged, does not fit.

use bytes::Bytes;
use peerstream_types::{
    ChainingValue, ChunkIndex, ChunkRange, ChunkSize, Digest, Entry, GROUP_CHUNKS, GroupIndex, Ordinal,
};

use super::{Catalog, Part};
use crate::verify::{group_value, root_of_chunks, root_of_groups};
use crate::{DiskError, SourceError};

const VALUE_LEN: u64 = 32;

/// An entry with the place of its values.
struct Outlined {
    entry: Entry,
    size: ChunkSize,
    /// Of the values of its chunks.
    begin: u64,
}

impl Catalog {
    /// Chaining values of chunks (level 0) or groups (level 1) of an entry; `None` if they are not
    /// there, or do not fit its digest.
    ///
    /// # Errors
    ///
    /// [`SourceError::NoSuchEntry`]; [`SourceError::BadRange`] for chunks or groups that it does not
    /// have, and for levels that it does not have.
    pub(in crate::directory) async fn outline(
        &self,
        ordinal: Ordinal,
        level: u8,
        range: ChunkRange,
    ) -> Result<Option<Vec<ChainingValue>>, SourceError> {
        let of = self.outlined(ordinal).await?;
        let count = of.count(level);
        if count < 2 || range.end() > count {
            return Err(SourceError::BadRange(ordinal));
        }
        if range.count == 0 {
            return Ok(Some(Vec::new()));
        }
        Ok(match level {
            0 if of.count(1) > 1 => self.chunks_by_group(&of, range).await?,
            _ => self.whole_level(&of, level, range).await?,
        })
    }

    async fn outlined(&self, ordinal: Ordinal) -> Result<Outlined, SourceError> {
        let (page, place) = self.locate(ordinal).await?;
        let size = self.chunk_size();
        let begin = page.values_before(place, size);
        Ok(Outlined { entry: page.entries[place].clone(), size, begin })
    }

    /// A part of a level that is checked as a whole: the only group of an entry, or its top.
    async fn whole_level(
        &self,
        of: &Outlined,
        level: u8,
        range: ChunkRange,
    ) -> Result<Option<Vec<ChainingValue>>, DiskError> {
        let Some(values) = self.read_values(of.place(level), of.count(level)).await? else { return Ok(None) };
        let root = if level == 0 { root_of_chunks } else { root_of_groups };
        let fits = of.entry.digest == Some(Digest::Blake3(root(of.size, of.entry.len, &values)));
        let part = values.into_iter().skip(usize::try_from(range.first.0).unwrap_or(usize::MAX));
        Ok(fits.then(|| part.take(range.count as usize).collect()))
    }

    /// Values of chunks, each group checked against its own value.
    async fn chunks_by_group(
        &self,
        of: &Outlined,
        range: ChunkRange,
    ) -> Result<Option<Vec<ChainingValue>>, DiskError> {
        let last = ChunkIndex(range.end() - 1).group();
        let mut found = Vec::new();
        for group in (range.first.group().0..=last.0).map(GroupIndex) {
            let chunks = of.size.chunks_of(group, of.entry.len);
            let values = self.read_values(of.begin + chunks.first.0, u64::from(chunks.count)).await?;
            let promised = self.read_values(of.place(1) + group.0, 1).await?;
            let (Some(values), Some(promised)) = (values, promised) else { return Ok(None) };
            if promised != [group_value(of.size, of.entry.len, group, &values)] {
                return Ok(None);
            }
            let wanted = |index: u64| (range.first.0..range.end()).contains(&index);
            found.extend((chunks.first.0..).zip(values).filter(|(i, _)| wanted(*i)).map(|(_, value)| value));
        }
        Ok(Some(found))
    }

    pub(super) async fn write_values(&self, place: u64, values: &[ChainingValue]) -> Result<(), DiskError> {
        if values.is_empty() {
            return Ok(());
        }
        let offset = place.checked_mul(VALUE_LEN);
        let offset = offset.ok_or_else(|| self.corrupt(Part::Outlines, "the place is out of range"))?;
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.0).collect();
        self.file(Part::Outlines).await?.write_at(offset, Bytes::from(bytes)).await
    }

    /// `None` if there are fewer.
    async fn read_values(&self, place: u64, count: u64) -> Result<Option<Vec<ChainingValue>>, DiskError> {
        let offset = place.checked_mul(VALUE_LEN);
        let len = count.checked_mul(VALUE_LEN).and_then(|len| usize::try_from(len).ok());
        let (Some(offset), Some(len)) = (offset, len) else { return Ok(None) };
        let bytes = self.file(Part::Outlines).await?.read_at(offset, len).await?;
        let (values, _) = bytes.as_chunks();
        Ok((bytes.len() == len).then(|| values.iter().copied().map(ChainingValue).collect()))
    }
}

impl Outlined {
    fn count(&self, level: u8) -> u64 {
        match level {
            0 => self.entry.chunks(self.size),
            1 => self.entry.groups(self.size),
            _ => 0,
        }
    }

    fn place(&self, level: u8) -> u64 {
        let chunks = if level == 0 { 0 } else { self.entry.chunks(self.size) };
        self.begin.saturating_add(chunks)
    }
}

/// Builds the chaining values of groups from those of chunks as these come.
#[derive(Debug)]
pub(super) struct Groups {
    size: ChunkSize,
    len: u64,
    open: Vec<ChainingValue>,
    done: Vec<ChainingValue>,
}

impl Groups {
    pub(super) fn new(size: ChunkSize, len: u64) -> Self {
        Self { size, len, open: Vec::new(), done: Vec::new() }
    }

    /// How many chunks have come.
    pub(super) fn chunks(&self) -> u64 {
        self.done.len() as u64 * u64::from(GROUP_CHUNKS) + self.open.len() as u64
    }

    pub(super) fn add(&mut self, values: &[ChainingValue]) {
        for value in values {
            self.open.push(*value);
            if self.open.len() == GROUP_CHUNKS as usize && self.size.groups_in(self.len) > 1 {
                self.close();
            }
        }
    }

    /// The digest of the entry and the values of its groups, if it has more than one; `None` unless all
    /// of its chunks have come.
    pub(super) fn finish(mut self) -> Option<(Digest, Vec<ChainingValue>)> {
        if self.chunks() != self.size.chunks_in(self.len) || self.chunks() < 2 {
            return None;
        }
        if self.size.groups_in(self.len) == 1 {
            return Some((Digest::Blake3(root_of_chunks(self.size, self.len, &self.open)), Vec::new()));
        }
        if !self.open.is_empty() {
            self.close();
        }
        Some((Digest::Blake3(root_of_groups(self.size, self.len, &self.done)), self.done))
    }

    fn close(&mut self) {
        let group = GroupIndex(self.done.len() as u64);
        self.done.push(group_value(self.size, self.len, group, &self.open));
        self.open.clear();
    }
}
