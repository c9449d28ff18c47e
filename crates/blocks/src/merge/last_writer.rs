//! The last write of a block is the block.

use bytes::Bytes;

use super::{MergeError, MergeHook};
use crate::Stamp;

const NAME: &str = "last-writer/1";

/// Takes the payload with the largest stamp as a whole; among equal stamps the larger bytes.
///
/// A payload is the stamp, eight bytes with the most significant first, then the value.
#[derive(Debug, Clone, Copy, Default)]
pub struct LastWriter;

impl LastWriter {
    /// The payload of a value written at `stamp`.
    pub fn encode(stamp: Stamp, value: &[u8]) -> Bytes {
        [&stamp.0.to_be_bytes(), value].concat().into()
    }

    /// The stamp and the value of a payload.
    ///
    /// # Errors
    ///
    /// [`MergeError::Malformed`] if it is shorter than a stamp.
    pub fn decode(payload: &[u8]) -> Result<(Stamp, &[u8]), MergeError> {
        let (stamp, value) = payload
            .split_first_chunk()
            .ok_or(MergeError::Malformed { hook: NAME, why: "it is shorter than a stamp" })?;
        Ok((Stamp(u64::from_be_bytes(*stamp)), value))
    }
}

impl MergeHook for LastWriter {
    fn name(&self) -> &'static str {
        NAME
    }

    /// The stamp stands first, so the larger payload in byte order is the later one.
    fn merge(&self, existing: Option<&[u8]>, incoming: &[u8]) -> Result<Bytes, MergeError> {
        Self::decode(incoming)?;
        let existing = existing.unwrap_or_default();
        Ok(Bytes::copy_from_slice(existing.max(incoming)))
    }

    fn after_delete(&self, payload: &[u8], deleted: Stamp) -> Result<Option<Bytes>, MergeError> {
        let (stamp, _) = Self::decode(payload)?;
        Ok((stamp > deleted).then(|| Bytes::copy_from_slice(payload)))
    }

    fn oldest(&self, payload: &[u8]) -> Result<Stamp, MergeError> {
        Self::decode(payload).map(|(stamp, _)| stamp)
    }
}
