//! Levels by what they are set for, as a config or a file says them.

use std::collections::BTreeMap;

use peerstream_types::{DatasetName, ShardId};
use serde::{Deserialize, Serialize};

use super::LevelScope;
use crate::Level;

/// Most datasets and shards with a level of their own: the shards of one dataset, one by one. Beyond
/// that, what is meant is a dataset.
pub const SETTINGS_MAX: usize = 4096;

/// Why settings were not taken. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LevelSettingsError {
    /// There would be more than may be.
    #[error("more than {0} levels would be set; set those of datasets in place of single shards")]
    TooMany(usize),
    /// A shard that is none.
    #[error(transparent)]
    Shard(#[from] peerstream_types::shard::ParseShardIdError),
    /// One recovery has no setting that could be kept.
    #[error("a level of one recovery is not kept")]
    OneRecovery,
}

/// Levels of a node, of datasets and of shards. Its text form, in any format of serde:
///
/// ```toml
/// level = "majority"
/// [datasets]
/// metrics = "all"
/// [shards]
/// "metrics@1/7" = "one"
/// ```
///
/// Reading refuses names of levels that are none, and names those that are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Text", into = "Text")]
pub struct LevelSettings {
    pub(super) node: Option<Level>,
    pub(super) datasets: BTreeMap<DatasetName, Level>,
    pub(super) shards: BTreeMap<ShardId, Level>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Text {
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<Level>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    datasets: BTreeMap<DatasetName, Level>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    shards: BTreeMap<String, Level>,
}

impl LevelSettings {
    /// Sets a level; gives the one before.
    ///
    /// # Errors
    ///
    /// [`LevelSettingsError`] beyond [`SETTINGS_MAX`], and for one recovery.
    pub fn set(&mut self, scope: &LevelScope, level: Level) -> Result<Option<Level>, LevelSettingsError> {
        if self.get(scope).is_none()
            && *scope != LevelScope::Node
            && self.datasets.len() + self.shards.len() >= SETTINGS_MAX
        {
            return Err(LevelSettingsError::TooMany(SETTINGS_MAX));
        }
        match scope {
            LevelScope::Node => Ok(self.node.replace(level)),
            LevelScope::Dataset(dataset) => Ok(self.datasets.insert(dataset.clone(), level)),
            LevelScope::Shard(shard) => Ok(self.shards.insert(shard.clone(), level)),
            LevelScope::Recovery(..) => Err(LevelSettingsError::OneRecovery),
        }
    }

    /// Takes a level away; gives it, if one was set.
    pub fn unset(&mut self, scope: &LevelScope) -> Option<Level> {
        match scope {
            LevelScope::Node => self.node.take(),
            LevelScope::Dataset(dataset) => self.datasets.remove(dataset),
            LevelScope::Shard(shard) => self.shards.remove(shard),
            LevelScope::Recovery(..) => None,
        }
    }

    /// The level that is set for exactly this.
    pub fn get(&self, scope: &LevelScope) -> Option<Level> {
        match scope {
            LevelScope::Node => self.node,
            LevelScope::Dataset(dataset) => self.datasets.get(dataset).copied(),
            LevelScope::Shard(shard) => self.shards.get(shard).copied(),
            LevelScope::Recovery(..) => None,
        }
    }

    /// All that is set, the widest first, then by name.
    pub fn iter(&self) -> impl Iterator<Item = (LevelScope, Level)> {
        let node = self.node.iter().map(|level| (LevelScope::Node, *level));
        let datasets = self.datasets.iter().map(|(name, level)| (LevelScope::Dataset(name.clone()), *level));
        let shards = self.shards.iter().map(|(shard, level)| (LevelScope::Shard(shard.clone()), *level));
        node.chain(datasets).chain(shards)
    }
}

impl TryFrom<Text> for LevelSettings {
    type Error = LevelSettingsError;

    fn try_from(text: Text) -> Result<Self, LevelSettingsError> {
        if text.datasets.len() + text.shards.len() > SETTINGS_MAX {
            return Err(LevelSettingsError::TooMany(SETTINGS_MAX));
        }
        let shards = text.shards.into_iter().map(|(shard, level)| Ok((shard.parse()?, level)));
        let shards: Result<_, LevelSettingsError> = shards.collect();
        Ok(Self { node: text.level, datasets: text.datasets, shards: shards? })
    }
}

impl From<LevelSettings> for Text {
    fn from(settings: LevelSettings) -> Self {
        let LevelSettings { node, datasets, shards } = settings;
        let shards = shards.into_iter().map(|(shard, level)| (shard.to_string(), level)).collect();
        Self { level: node, datasets, shards }
    }
}
