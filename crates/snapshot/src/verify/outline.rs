//! Chaining values that were checked: of the groups of an entry, and of the chunks of one group.

use std::sync::Arc;

use peerstream_types::{ChainingValue, ChunkIndex, ChunkSize, Digest, Entry, GROUP_CHUNKS, GroupIndex};

use super::{ContentId, Scheme, VerifyError, group_value, root_of_chunks, root_of_groups, scheme};

/// Level 1 of an entry of more than one group: the chaining values of its groups, checked against its
/// digest. Cheap to clone.
#[derive(Debug, Clone)]
pub struct VerifiedTop {
    content: ContentId,
    values: Arc<[ChainingValue]>,
}

impl VerifiedTop {
    /// Checks the chaining values of the groups against the digest of their entry.
    ///
    /// # Errors
    ///
    /// [`VerifyError::OutlineMismatch`] if they do not fit, [`VerifyError::Unverifiable`] if the entry
    /// has no use for a top.
    pub fn check(entry: &Entry, size: ChunkSize, values: Vec<ChainingValue>) -> Result<Self, VerifyError> {
        let content = content_of(entry, size, Scheme::Groups, "an entry of one group has no top")?;
        let fits = values.len() as u64 == entry.groups(size)
            && content.digest == Digest::Blake3(root_of_groups(size, entry.len, &values));
        if !fits {
            return Err(VerifyError::OutlineMismatch { key: entry.key.clone() });
        }
        Ok(Self { content, values: values.into() })
    }

    /// The chaining values, one per group.
    pub fn values(&self) -> &[ChainingValue] {
        &self.values
    }
}

/// Level 0 of one group: the chaining values of its chunks, checked against the digest of the entry,
/// or against the top of an entry of more groups. Cheap to clone.
#[derive(Debug, Clone)]
pub struct VerifiedOutline {
    content: ContentId,
    group: GroupIndex,
    values: Arc<[ChainingValue]>,
    top: Option<VerifiedTop>,
}

impl VerifiedOutline {
    /// Checks the outline of an entry of a single group against its digest.
    ///
    /// # Errors
    ///
    /// [`VerifyError::OutlineMismatch`] if it does not fit, [`VerifyError::Unverifiable`] if the
    /// entry has no outline, or more groups than one.
    pub fn check(entry: &Entry, size: ChunkSize, values: Vec<ChainingValue>) -> Result<Self, VerifyError> {
        let why = "only an entry of several chunks in one group has an outline of its own";
        let content = content_of(entry, size, Scheme::Outline, why)?;
        let fits = values.len() as u64 == entry.chunks(size)
            && content.digest == Digest::Blake3(root_of_chunks(size, entry.len, &values));
        if !fits {
            return Err(VerifyError::OutlineMismatch { key: entry.key.clone() });
        }
        Ok(Self { content, group: GroupIndex(0), values: values.into(), top: None })
    }

    /// Checks the outline of a group of an entry of several against the top of that entry.
    ///
    /// # Errors
    ///
    /// [`VerifyError::GroupMismatch`] if it does not fit, [`VerifyError::WrongOutline`] if the top is
    /// that of another entry, [`VerifyError::Unverifiable`] if the entry has no such group.
    pub fn check_group(
        entry: &Entry,
        size: ChunkSize,
        top: &VerifiedTop,
        group: GroupIndex,
        values: Vec<ChainingValue>,
    ) -> Result<Self, VerifyError> {
        let content = content_of(entry, size, Scheme::Groups, "an entry of one group has no top")?;
        if top.content != content {
            return Err(VerifyError::WrongOutline { key: entry.key.clone() });
        }
        let promised = usize::try_from(group.0).ok().and_then(|group| top.values.get(group));
        let promised = promised.ok_or_else(|| VerifyError::Unverifiable {
            key: entry.key.clone(),
            why: "it has no such group",
        })?;
        let fits = values.len() == size.chunks_of(group, entry.len).count as usize
            && *promised == group_value(size, entry.len, group, &values);
        if !fits {
            return Err(VerifyError::GroupMismatch { key: entry.key.clone(), group });
        }
        Ok(Self { content, group, values: values.into(), top: Some(top.clone()) })
    }

    /// The chaining values, one per chunk of the group.
    pub fn values(&self) -> &[ChainingValue] {
        &self.values
    }

    /// The first chunk that it covers.
    pub fn first(&self) -> ChunkIndex {
        ChunkIndex(self.group.0 * u64::from(GROUP_CHUNKS))
    }

    /// The group that it covers: the first one of an entry of a single group.
    pub fn group(&self) -> GroupIndex {
        self.group
    }

    /// The top that vouched for it; `None` for an entry of a single group.
    pub fn top(&self) -> Option<&VerifiedTop> {
        self.top.as_ref()
    }

    /// Whether it is the outline that a chunk of an entry needs.
    pub(super) fn covers(&self, entry: &Entry, size: ChunkSize, index: ChunkIndex) -> bool {
        ContentId::of(entry, size) == Some(self.content) && index.group() == self.group
    }

    /// The chaining value of a chunk that it covers.
    pub(super) fn value(&self, index: ChunkIndex) -> Option<&ChainingValue> {
        let place = index.0.checked_sub(self.first().0)?;
        self.values.get(usize::try_from(place).ok()?)
    }
}

/// What an entry that is verified by `needed` has as content.
fn content_of(
    entry: &Entry,
    size: ChunkSize,
    needed: Scheme,
    otherwise: &'static str,
) -> Result<ContentId, VerifyError> {
    let found = scheme(entry, size)?;
    let content = ContentId::of(entry, size).filter(|_| found == needed);
    content.ok_or_else(|| VerifyError::Unverifiable { key: entry.key.clone(), why: otherwise })
}
