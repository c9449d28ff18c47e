//! What a host does when a generation becomes visible.

use std::fmt;
use std::path::Path;

use peerstream_types::{ManifestHeader, ShardId};

use crate::BoxFuture;

/// Runs around the one step that makes a generation visible (row C12).
pub trait PublishHook: Send + Sync + fmt::Debug {
    /// Before the step: open an engine on the data below `path`, build indexes. It may add files
    /// there, but not change those that are there. The generation before is still the visible one,
    /// and stays it if this fails. Called again with every attempt, so it can be repeated.
    ///
    /// # Errors
    ///
    /// [`HookError`]: nothing becomes visible. What is staged is kept, and hashed again before it
    /// counts; nothing has to be fetched again.
    fn prepare<'a>(
        &'a self,
        shard: &'a ShardId,
        path: &'a Path,
        header: &'a ManifestHeader,
    ) -> BoxFuture<'a, Result<(), HookError>>;

    /// After the step: drop caches, close what the generation before had open. It may come twice for
    /// one generation, and after a crash not at all: whoever starts looks at what is visible.
    fn shown<'a>(
        &'a self,
        shard: &'a ShardId,
        path: &'a Path,
        header: &'a ManifestHeader,
    ) -> BoxFuture<'a, ()>;
}

/// Why a host did not take a generation, in its own words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HookError(pub String);
