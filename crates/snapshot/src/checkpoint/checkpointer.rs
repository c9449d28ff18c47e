//! What a host does to be snapshotted.

use std::fmt;
use std::path::Path;

use peerstream_types::{Position, ShardId};

use crate::{BoxFuture, DiskError, SourceError};

/// A host that can freeze its shards. The two calls of one checkpoint come in this order, from one
/// task; those of different shards overlap.
pub trait Checkpointer: Send + Sync + fmt::Debug {
    /// Where the change log of the shard stands: everything before it is in a checkpoint that is
    /// begun after this has answered. `None` for shards without a log.
    ///
    /// # Errors
    ///
    /// [`CheckpointError`]; no checkpoint is begun.
    fn position<'a>(&'a self, shard: &'a ShardId)
    -> BoxFuture<'a, Result<Option<Position>, CheckpointError>>;

    /// Freezes the shard as files below `dir`, which does not exist, while its parent does. Nobody may
    /// change those files afterwards; they are removed with the checkpoint. Answers with opaque state of
    /// at most [`STATE_LEN_MAX`](peerstream_types::manifest::STATE_LEN_MAX) bytes, which is published
    /// together with the data.
    ///
    /// Bulk copying should be left to the file system (hard links, reflinks): nothing shapes it.
    ///
    /// # Errors
    ///
    /// [`CheckpointError`]; whatever stands at `dir` is removed.
    fn checkpoint<'a>(
        &'a self,
        shard: &'a ShardId,
        dir: &'a Path,
    ) -> BoxFuture<'a, Result<Vec<u8>, CheckpointError>>;
}

/// Why a host made no checkpoint. Nothing is left of it; the next `open` tries again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The host does not hold the shard.
    #[error("the shard is not held here")]
    NoSuchShard,
    /// The host cannot make one now.
    #[error("no checkpoint could be made: {0}")]
    NotNow(String),
    /// The shard holds what cannot be served, and will as long as nobody changes it.
    #[error("{0}")]
    BadContent(String),
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl CheckpointError {
    /// What this means to those who want to open the shard.
    pub(super) fn of(self, shard: &ShardId) -> SourceError {
        let shard = shard.clone();
        match self {
            Self::NoSuchShard => SourceError::NoSuchShard(shard),
            Self::NotNow(_) => SourceError::NotReady { shard, why: self.to_string() },
            Self::BadContent(why) => SourceError::BadEntry { shard, why },
            Self::Disk(error) => error.into(),
        }
    }
}
