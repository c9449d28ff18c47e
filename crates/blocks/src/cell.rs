//! What a replica has under one key: a payload, a delete, or both.

use bytes::{BufMut, Bytes, BytesMut};
use peerstream_types::EntryKind;

use crate::limits::BLOCK_LEN_MAX;
use crate::{MergeError, MergeHook, Stamp};

/// First byte of the content of an entry: the version of the encoding.
const VERSION: u8 = 1;
const HAS_DELETE: u8 = 1;
const HAS_PAYLOAD: u8 = 2;

/// Bytes of a content in which its delete is, if it has one.
pub(crate) const DELETE_END: usize = 2 + 8;

/// What there is of a block: what was written, and the delete that is remembered. Of a payload only what
/// was written after the delete is there. A cell without a payload is a tombstone.
///
/// The content of its entry: a version, which parts there are, the stamp of the delete (8 bytes, the most
/// significant first), the payload. So a block that was written again after a delete is one entry, and
/// takes the delete with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    deleted: Option<Stamp>,
    payload: Option<Bytes>,
}

impl Cell {
    pub(crate) fn deleted(stamp: Stamp) -> Self {
        Self { deleted: Some(stamp), payload: None }
    }

    pub(crate) fn written(hook: &dyn MergeHook, payload: &[u8]) -> Result<Self, MergeError> {
        Self { deleted: None, payload: Some(hook.merge(None, payload)?) }.bounded()
    }

    pub(crate) fn payload(&self) -> Option<&Bytes> {
        self.payload.as_ref()
    }

    pub(crate) fn delete(&self) -> Option<Stamp> {
        self.deleted
    }

    pub(crate) fn kind(&self) -> EntryKind {
        if self.payload.is_some() { EntryKind::Block } else { EntryKind::Tombstone }
    }

    /// Both in one: the later delete, and what either payload has after it.
    pub(crate) fn merge(&self, hook: &dyn MergeHook, other: &Self) -> Result<Self, MergeError> {
        let deleted = self.deleted.max(other.deleted);
        let payload = match (&self.payload, &other.payload) {
            (Some(ours), Some(theirs)) => Some(hook.merge(Some(ours), theirs)?),
            (one, other) => one.clone().or_else(|| other.clone()),
        };
        let payload = match (payload, deleted) {
            (Some(payload), Some(deleted)) => hook.after_delete(&payload, deleted)?,
            (payload, _) => payload,
        };
        Self { deleted, payload }.bounded()
    }

    /// What is left of it once deletes up to `limit` may be forgotten; `None` if nothing is.
    pub(crate) fn without_deletes(&self, limit: Stamp) -> Option<Self> {
        let deleted = self.deleted.filter(|stamp| *stamp > limit);
        let left = Self { deleted, payload: self.payload.clone() };
        (left.deleted.is_some() || left.payload.is_some()).then_some(left)
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(self.len());
        let parts = self.deleted.map_or(0, |_| HAS_DELETE) | self.payload.as_ref().map_or(0, |_| HAS_PAYLOAD);
        bytes.put_slice(&[VERSION, parts]);
        if let Some(stamp) = self.deleted {
            bytes.put_u64(stamp.0);
        }
        bytes.put_slice(self.payload.as_deref().unwrap_or_default());
        bytes.freeze()
    }

    /// The delete that a content begins with, from its first [`DELETE_END`] bytes or more.
    pub(crate) fn delete_in(hook: &dyn MergeHook, content: &[u8]) -> Result<Option<Stamp>, MergeError> {
        split(hook, content).map(|(deleted, ..)| deleted)
    }

    /// Reads the content of an entry. Takes anything: content of peers comes here.
    pub(crate) fn decode(hook: &dyn MergeHook, content: &Bytes) -> Result<Self, MergeError> {
        let (deleted, has_payload, rest) = split(hook, content)?;
        if !has_payload {
            if !rest.is_empty() {
                return Err(malformed(hook, "something follows its delete"));
            }
            return Ok(Self { deleted, payload: None });
        }
        let payload = hook.merge(None, rest)?;
        // A payload that the delete covers is one that no honest replica has.
        let left = deleted.map_or(Ok(Some(payload.clone())), |stamp| hook.after_delete(&payload, stamp))?;
        if left.as_ref() != Some(&payload) {
            return Err(malformed(hook, "it has what its own delete covers"));
        }
        Ok(Self { deleted, payload: left })
    }

    /// Length of its encoding in bytes.
    pub(crate) fn len(&self) -> usize {
        2 + self.deleted.map_or(0, |_| 8) + self.payload.as_ref().map_or(0, Bytes::len)
    }

    /// Refuses one that would be too long with a delete, so that there is always room for one.
    pub(crate) fn bounded(self) -> Result<Self, MergeError> {
        let len = DELETE_END + self.payload.as_ref().map_or(0, Bytes::len);
        if len > BLOCK_LEN_MAX { Err(MergeError::TooLong(len)) } else { Ok(self) }
    }
}

/// The delete of a content, whether a payload is there, and what follows.
fn split<'a>(hook: &dyn MergeHook, content: &'a [u8]) -> Result<(Option<Stamp>, bool, &'a [u8]), MergeError> {
    let (&[version, parts], rest) =
        content.split_first_chunk().ok_or_else(|| malformed(hook, "its head is cut off"))?;
    if version != VERSION {
        return Err(malformed(hook, "it has a version that is not known here"));
    }
    if parts == 0 || parts > (HAS_DELETE | HAS_PAYLOAD) {
        return Err(malformed(hook, "it has parts that are not known here"));
    }
    let has_payload = parts & HAS_PAYLOAD != 0;
    if parts & HAS_DELETE == 0 {
        return Ok((None, has_payload, rest));
    }
    let (stamp, rest) = rest.split_first_chunk().ok_or_else(|| malformed(hook, "its delete is cut off"))?;
    Ok((Some(Stamp(u64::from_be_bytes(*stamp))), has_payload, rest))
}

fn malformed(hook: &dyn MergeHook, why: &'static str) -> MergeError {
    MergeError::Malformed { hook: hook.name(), why }
}
