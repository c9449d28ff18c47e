//! How two copies of a block become one.
//!
//! A [`MergeHook`] knows what is in a payload. Whatever the order in which copies of replicas arrive,
//! however often each of them does, every replica has to end with the same bytes; so a merge is
//! commutative, associative and idempotent, and a payload has one encoding only. With this crate come
//! [`LastWriter`] and [`SeriesUnion`].

mod last_writer;
mod series_union;
#[cfg(test)]
mod tests;

use std::fmt;

use bytes::Bytes;

pub use last_writer::LastWriter;
pub use series_union::{Point, SeriesUnion};

use crate::Stamp;
use crate::limits::BLOCK_LEN_MAX;

/// Why payloads were not merged. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// The incoming payload is not what this hook writes: who sent it is at fault, or has another hook.
    #[error("the payload is not one of {hook}: {why}")]
    Malformed {
        /// The hook that read it.
        hook: &'static str,
        /// What is wrong.
        why: &'static str,
    },
    /// The result would have more than [`BLOCK_LEN_MAX`] bytes with a delete of it: cut time into shorter
    /// blocks.
    #[error("the block would have {0} bytes, at most {BLOCK_LEN_MAX} are allowed")]
    TooLong(usize),
}

/// Decides what becomes of copies of one block that differ.
///
/// For all payloads that `merge(None, _)` takes, `merge` is commutative, associative and idempotent up
/// to the last byte, `merge(None, x)` is `x`, and `after_delete` distributes over it:
/// what survives of a merge is the merge of what survives of its parts.
pub trait MergeHook: Send + Sync + fmt::Debug {
    /// Names the rule and the encoding, at most
    /// [`HOOK_NAME_LEN_MAX`](crate::limits::HOOK_NAME_LEN_MAX) bytes: replicas with other names are no
    /// sources for each other.
    fn name(&self) -> &'static str;

    /// The merge of a payload that is here with one that comes in. Without an existing one, the incoming
    /// payload is checked and given back. Takes anything: payloads of peers come here.
    ///
    /// # Errors
    ///
    /// [`MergeError`] says what is wrong with them.
    fn merge(&self, existing: Option<&[u8]>, incoming: &[u8]) -> Result<Bytes, MergeError>;

    /// What of a payload was written after a delete: with a larger stamp. `None` if nothing was.
    ///
    /// # Errors
    ///
    /// [`MergeError::Malformed`].
    fn after_delete(&self, payload: &[u8], deleted: Stamp) -> Result<Option<Bytes>, MergeError>;

    /// The stamp of the oldest thing in a payload.
    ///
    /// # Errors
    ///
    /// [`MergeError::Malformed`].
    fn oldest(&self, payload: &[u8]) -> Result<Stamp, MergeError>;
}
