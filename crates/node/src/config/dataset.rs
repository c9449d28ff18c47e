//! What a node holds, and how it is served.

use std::fmt;
use std::path::PathBuf;

use peerstream_snapshot::checkpoint::{CheckpointSettings, FilePattern, ParseFilePatternError};
use peerstream_types::{DatasetKind, DatasetName, ShardId};
use serde::{Deserialize, Serialize};

use super::{SHARDS_MAX, Wait};
use crate::failure::{Failure, Result};

/// A version of a dataset that this node holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dataset {
    /// Its name.
    pub name: DatasetName,
    /// Its version. Default 1.
    #[serde(default = "one")]
    pub version: u64,
    /// How many shards it has, numbered from 0. Default 1, at most [`SHARDS_MAX`].
    #[serde(default = "default_shards")]
    pub shards: u32,
    /// How its replicas are related: `local`, the default, if every node has other files for the same data;
    /// `identical` if a file has the same content wherever it is, so that replicas can be compared.
    #[serde(default)]
    pub kind: DatasetKind,
    /// A directory that is served: the shard itself if there is one, `<serve>/<index>` if there are
    /// several. Such a dataset is not received. Without it, shards are received into the data
    /// directory, and served from there once published, unless a command makes the snapshots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serve: Option<PathBuf>,
    /// How what is served becomes a snapshot.
    #[serde(default)]
    pub snapshot: SnapshotRules,
}

/// Where snapshots come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SnapshotMode {
    /// What is there is served as it is: nothing in it may change while the node runs.
    #[default]
    InPlace,
    /// The directory is frozen when someone asks, with hard links and copies.
    Freeze,
    /// A command of the store freezes it when someone asks.
    Command,
}

impl fmt::Display for SnapshotMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InPlace => "in-place",
            Self::Freeze => "freeze",
            Self::Command => "command",
        })
    }
}

/// How what is served becomes a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SnapshotRules {
    /// Where snapshots come from. Default `in-place`.
    pub mode: SnapshotMode,
    /// How long a checkpoint is handed out. Default 1h.
    pub ttl: Wait,
    /// A checkpoint that nobody used for this long is removed, stale or not. Default 2h.
    pub unused: Wait,
    /// Most checkpoints of one shard beside each other. Default 4.
    pub beside: usize,
    /// Where checkpoints are made: on the file system of the store, or nothing can be shared. Default
    /// `<data_dir>/checkpoints`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
    /// For `freeze`: names of files that nobody writes to once they have their name. Default none.
    pub immutable: Vec<Pattern>,
    /// For `freeze`: names of files that do not belong to the shard. Default none.
    pub ignored: Vec<Pattern>,
    /// A command that tells where the change log stands, before each checkpoint. Default none: the
    /// shard has no log.
    pub position: Vec<String>,
    /// For `command`: the command that makes a checkpoint.
    pub checkpoint: Vec<String>,
    /// How long each of the commands may take. Default 10m.
    pub timeout: Wait,
}

impl Default for SnapshotRules {
    fn default() -> Self {
        let settings = CheckpointSettings::default();
        Self {
            mode: SnapshotMode::InPlace,
            ttl: Wait(settings.ttl),
            unused: Wait(settings.unused_max),
            beside: settings.beside_max,
            dir: None,
            immutable: Vec::new(),
            ignored: Vec::new(),
            position: Vec::new(),
            checkpoint: Vec::new(),
            timeout: Wait(std::time::Duration::from_secs(600)),
        }
    }
}

/// Matches names of files: `*.sst`, `CURRENT`, `*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(pub FilePattern);

impl TryFrom<String> for Pattern {
    type Error = ParseFilePatternError;
    fn try_from(text: String) -> std::result::Result<Self, ParseFilePatternError> {
        text.parse().map(Self)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.0.to_string()
    }
}

impl Dataset {
    /// The shards that are served from a directory, each with its own.
    pub fn served(&self) -> impl Iterator<Item = (ShardId, PathBuf)> {
        let at = |dir: &PathBuf, index: u32| {
            let own = if self.shards == 1 { dir.clone() } else { dir.join(index.to_string()) };
            (ShardId::new(self.name.clone(), self.version, index), own)
        };
        self.serve.iter().flat_map(move |dir| (0..self.shards).map(move |index| at(dir, index)))
    }

    /// All paths in it.
    pub(super) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        self.serve.iter_mut().chain(self.snapshot.dir.iter_mut())
    }

    /// All commands in it.
    pub(super) fn commands(&mut self) -> impl Iterator<Item = &mut Vec<String>> {
        [&mut self.snapshot.position, &mut self.snapshot.checkpoint].into_iter()
    }

    /// What takes more than one field to see.
    pub(super) fn check(&self) -> Result<()> {
        let name = format!("dataset {}@{}", self.name, self.version);
        if !(1..=SHARDS_MAX).contains(&self.shards) {
            let what = format!("{name}: {} shards, allowed are 1 to {SHARDS_MAX}", self.shards);
            return Err(Failure::new(what));
        }
        if self.kind == DatasetKind::Mergeable {
            let what = format!("{name}: kind is mergeable, and no store of this node merges");
            return Err(
                Failure::new(what).hint("say `local` or `identical`; stores of blocks are for embedders")
            );
        }
        match self.snapshot.mistake(self.serve.is_some()) {
            Some((what, hint)) => Err(Failure::new(format!("{name}: snapshot.{what}")).hint(hint)),
            None => Ok(()),
        }
    }
}

impl SnapshotRules {
    /// The settings of checkpoints.
    pub fn settings(&self) -> CheckpointSettings {
        CheckpointSettings { ttl: self.ttl.0, unused_max: self.unused.0, beside_max: self.beside }
    }

    /// What does not go together, and what would.
    fn mistake(&self, serves: bool) -> Option<(&'static str, &'static str)> {
        let freezes = self.mode == SnapshotMode::Freeze;
        let commands = self.mode == SnapshotMode::Command;
        let names_files = !self.immutable.is_empty() || !self.ignored.is_empty();
        let zero = "leave it out for the default";
        let mistakes = [
            (self.ttl.0.is_zero(), "ttl is zero", zero),
            (self.beside == 0, "beside is zero", zero),
            (self.timeout.0.is_zero(), "timeout is zero", zero),
            (freezes && !serves, "mode is freeze, and nothing is frozen", "name the directory with `serve`"),
            (commands && serves, "mode is command, and `serve` is set", "the command makes what is served"),
            (
                commands && self.checkpoint.is_empty(),
                "mode is command, and there is none",
                "name it with `checkpoint`",
            ),
            (
                !commands && !self.checkpoint.is_empty(),
                "checkpoint is set, and never run",
                "set `mode = \"command\"`",
            ),
            (
                !freezes && names_files,
                "immutable and ignored are for files that are frozen",
                "set `mode = \"freeze\"`",
            ),
            (
                !freezes && !commands && !self.position.is_empty(),
                "position is set, and never run",
                "set `mode` to \"freeze\" or \"command\"",
            ),
        ];
        mistakes.into_iter().find(|(is_one, ..)| *is_one).map(|(_, what, hint)| (what, hint))
    }
}

fn one() -> u64 {
    1
}

fn default_shards() -> u32 {
    1
}
