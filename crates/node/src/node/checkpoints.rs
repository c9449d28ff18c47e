//! Stores that are frozen on demand: by hard links and copies, or by a command of their own.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use peerstream_snapshot::checkpoint::{
    CheckpointError, CheckpointParts, CheckpointSource, Checkpointer, TreeCheckpointer, TreeRules,
};
use peerstream_snapshot::{BoxFuture, DirectorySource};
use peerstream_types::{Position, ShardId};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::datasets::Seams;
use super::hook::{Hook, HookError};
use crate::clock::SystemClock;
use crate::config::{Dataset, SnapshotMode, SnapshotRules};
use crate::failure::{Failure, Result};

/// Makes checkpoints as the config says.
#[derive(Debug)]
struct Configured {
    position: Option<Hook>,
    how: How,
}

#[derive(Debug)]
enum How {
    Freeze(TreeCheckpointer),
    Command(Hook),
}

/// What the command `position` says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PositionAnswer {
    log: String,
    #[serde(default)]
    epoch: u64,
    token: String,
}

/// What the command `checkpoint` says, if anything.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckpointAnswer {
    state: String,
}

/// The source of a dataset that is frozen on demand; `None` if it is served as it is. Checkpoints of an
/// earlier boot are removed.
pub(super) async fn source(
    dataset: &Dataset,
    default_dir: &Path,
    directory: &Arc<DirectorySource>,
    seams: &Seams,
) -> Result<Option<CheckpointSource>> {
    let rules = &dataset.snapshot;
    let Some(how) = how(dataset, rules, seams) else { return Ok(None) };
    let position = Hook::new(&rules.position, rules.timeout.0);
    let parts = CheckpointParts {
        checkpointer: Arc::new(Configured { position, how }),
        directory: directory.clone(),
        disk: Arc::new(seams.disk.clone()),
        clock: Arc::new(SystemClock),
    };
    let dir = rules.dir.as_deref().unwrap_or(default_dir);
    let source = CheckpointSource::at(dir, parts, rules.settings()).await;
    source.map(Some).map_err(|error| {
        Failure::new(format!("dataset {}@{}: {error}", dataset.name, dataset.version))
            .hint("checkpoints are made in snapshot.dir; this user has to own it")
    })
}

fn how(dataset: &Dataset, rules: &SnapshotRules, seams: &Seams) -> Option<How> {
    match rules.mode {
        SnapshotMode::InPlace => None,
        SnapshotMode::Command => Hook::new(&rules.checkpoint, rules.timeout.0).map(How::Command),
        SnapshotMode::Freeze => {
            let patterns = |from: &[crate::config::Pattern]| from.iter().map(|one| one.0.clone()).collect();
            let rules =
                TreeRules { immutable: patterns(&rules.immutable), ignored: patterns(&rules.ignored) };
            let tree = TreeCheckpointer::new(Arc::new(seams.disk.clone()), rules);
            dataset.served().for_each(|(shard, live)| tree.add(&shard, live));
            Some(How::Freeze(tree))
        }
    }
}

impl Checkpointer for Configured {
    fn position<'a>(
        &'a self,
        shard: &'a ShardId,
    ) -> BoxFuture<'a, std::result::Result<Option<Position>, CheckpointError>> {
        Box::pin(async move {
            let Some(hook) = &self.position else { return Ok(None) };
            let said = hook.run(&[shard_variable(shard)]).await.map_err(|error| not_now(shard, &error))?;
            let PositionAnswer { log, epoch, token } = answer("position", &said)?;
            Ok(Some(Position { log, epoch, token: token.into_bytes() }))
        })
    }

    fn checkpoint<'a>(
        &'a self,
        shard: &'a ShardId,
        dir: &'a Path,
    ) -> BoxFuture<'a, std::result::Result<Vec<u8>, CheckpointError>> {
        Box::pin(async move {
            let hook = match &self.how {
                How::Freeze(tree) => return tree.checkpoint(shard, dir).await,
                How::Command(hook) => hook,
            };
            let environment = [shard_variable(shard), ("PEERSTREAM_DIR", dir.into())];
            let said = hook.run(&environment).await.map_err(|error| not_now(shard, &error))?;
            if said.trim_ascii().is_empty() {
                return Ok(Vec::new());
            }
            let CheckpointAnswer { state } = answer("checkpoint", &said)?;
            Ok(state.into_bytes())
        })
    }
}

fn shard_variable(shard: &ShardId) -> (&'static str, OsString) {
    ("PEERSTREAM_SHARD", shard.to_string().into())
}

/// Told to whoever asked for the shard, and to the operator of this node.
fn not_now(shard: &ShardId, error: &HookError) -> CheckpointError {
    tracing::warn!(%shard, %error, "the store made no checkpoint; the next request tries again");
    CheckpointError::NotNow(error.to_string())
}

fn answer<T: DeserializeOwned>(
    command: &'static str,
    said: &[u8],
) -> std::result::Result<T, CheckpointError> {
    serde_json::from_slice(said).map_err(|error| {
        CheckpointError::NotNow(format!("what the command `{command}` wrote cannot be read: {error}"))
    })
}

#[cfg(test)]
#[path = "checkpoints/tests.rs"]
mod tests;
