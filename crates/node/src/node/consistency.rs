//! The consistency levels of a running node: changed by operators, kept across restarts.

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use peerstream_engine::{Levels, PlanState, TaskDirection};
use peerstream_select::{Level, LevelPolicy, LevelScope, LevelSettings};
use peerstream_types::{PlanId, ShardId};

use super::data_dir::replace;
use crate::config;
use crate::failure::{Failure, Result};

/// Longest file of levels in bytes: as many as may be set, with the longest names.
const FILE_LEN_MAX: u64 = 2 << 20;

/// The levels, and the file that keeps what was set.
#[derive(Debug, Clone)]
pub(crate) struct Consistency {
    levels: Levels,
    path: PathBuf,
    /// Held while something is set, so that the file and what is in force do not part.
    turn: Arc<Mutex<()>>,
}

/// What a change did.
#[derive(Debug)]
pub(crate) struct Changed {
    pub(crate) scope: LevelScope,
    pub(crate) before: LevelPolicy,
    pub(crate) now: LevelPolicy,
}

/// A recovery that runs and whose level changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Concerned {
    pub(crate) plan: PlanId,
    pub(crate) shard: ShardId,
    pub(crate) before: Level,
    pub(crate) now: Level,
}

impl Consistency {
    /// What the config says, and what was set and kept at `path`. Blocks.
    pub(super) fn open(path: PathBuf, configured: &config::Consistency) -> Result<Self> {
        let policy = LevelPolicy::new(configured.settings()?, read(&path)?);
        Ok(Self { levels: Levels::new(policy), path, turn: Arc::default() })
    }

    /// What recoveries ask.
    pub(crate) fn levels(&self) -> &Levels {
        &self.levels
    }

    /// Takes what a new config says; what was set stays set.
    pub(super) fn configure(&self, configured: LevelSettings) {
        self.levels.change(|policy| policy.configure(configured));
    }

    /// Sets a level, or takes back what was set. It is kept first, and counts then. Blocks.
    pub(crate) fn change(&self, scope: LevelScope, level: Option<Level>) -> Result<Changed> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = self.levels.policy();
        apply(&mut next, &scope, level)?;
        if !matches!(scope, LevelScope::Recovery(..)) {
            self.keep(next.settings())?;
        }
        self.levels.change(|policy| {
            let before = policy.clone();
            apply(policy, &scope, level)?;
            Ok(Changed { scope, before, now: policy.clone() })
        })
    }

    fn keep(&self, settings: &LevelSettings) -> Result<()> {
        let failed = |error: &dyn std::fmt::Display| {
            Failure::new(format!("{}: {error}", self.path.display())).hint("nothing was changed")
        };
        let text = toml::to_string(settings).map_err(|error| failed(&error))?;
        let text = format!("# Levels that were set with `peerstream consistency set`.\n{text}");
        replace(&self.path, &text).map_err(|error| failed(&error))
    }
}

impl Changed {
    /// The recoveries that run and whose level changed.
    pub(crate) fn concerned(&self, plans: &[PlanState]) -> Vec<Concerned> {
        let running = plans.iter().filter(|plan| plan.result.is_none());
        let shards = running.flat_map(|plan| plan.shards.iter().map(move |shard| (plan, shard)));
        let received =
            shards.filter(|(_, shard)| shard.direction == TaskDirection::Receive && shard.outcome.is_none());
        let all = received.map(|(plan, shard)| {
            let (shard, plan, operation) = (shard.shard.clone(), plan.plan, plan.operation);
            let level = |policy: &LevelPolicy| policy.level_of(plan, operation, &shard);
            let (before, now) = (level(&self.before), level(&self.now));
            Concerned { plan, shard, before, now }
        });
        all.filter(|one| one.before != one.now).collect()
    }
}

fn apply(policy: &mut LevelPolicy, scope: &LevelScope, level: Option<Level>) -> Result<()> {
    match level {
        Some(level) => policy.set(scope.clone(), level).map(drop).map_err(Failure::new),
        None => {
            policy.unset(scope);
            Ok(())
        }
    }
}

fn read(path: &std::path::Path) -> Result<LevelSettings> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::new(format!("{}: {error}", path.display()))
            .hint("restore the file, or delete it: then the levels of the config count")
    };
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(LevelSettings::default()),
        Err(error) => return Err(failed(&error)),
    };
    let mut text = String::new();
    let len = file.take(FILE_LEN_MAX + 1).read_to_string(&mut text).map_err(|error| failed(&error))?;
    if len as u64 > FILE_LEN_MAX {
        return Err(failed(&format!("longer than {FILE_LEN_MAX} bytes")));
    }
    toml::from_str(&text).map_err(|error| failed(&error.to_string().trim_end()))
}

#[cfg(test)]
mod tests {
    use peerstream_types::DatasetName;

    use super::*;

    fn open(dir: &tempfile::TempDir) -> Result<Consistency> {
        Consistency::open(dir.path().join("consistency.toml"), &config::Consistency::default())
    }

    fn metrics() -> LevelScope {
        LevelScope::Dataset(DatasetName::new("metrics").unwrap())
    }

    fn shard(text: &str) -> ShardId {
        text.parse().unwrap()
    }

    /// F-20: what was set is set after a restart, and what was taken back is not.
    #[test]
    fn what_was_set_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let first = open(&dir).unwrap();
        assert_eq!(first.levels().get(&shard("metrics@1/0")), Level::Majority);
        let changed = first.change(metrics(), Some(Level::One)).unwrap();
        assert_eq!(changed.before.at(&metrics()).level, Level::Majority);
        assert_eq!(changed.now.at(&metrics()).level, Level::One);
        first.change(LevelScope::Shard(shard("metrics@1/7")), Some(Level::All)).unwrap();
        let second = open(&dir).unwrap();
        assert_eq!(second.levels().policy(), first.levels().policy());
        assert_eq!(second.levels().get(&shard("metrics@1/7")), Level::All);
        second.change(metrics(), None).unwrap();
        assert_eq!(open(&dir).unwrap().levels().get(&shard("metrics@1/0")), Level::Majority);
    }

    #[test]
    fn a_damaged_file_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["level = \"quorum\"\n", "level = ", "levels = 1"] {
            fs::write(dir.path().join("consistency.toml"), text).unwrap();
            let refused = open(&dir).unwrap_err();
            assert!(refused.what().contains("consistency.toml: "), "{refused}");
            assert!(refused.advice().unwrap().contains("delete it"), "{refused}");
        }
    }

    #[test]
    fn what_cannot_be_kept_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let consistency = open(&dir).unwrap();
        // A directory in the place of the file that is written beside it.
        fs::create_dir(dir.path().join("consistency.tmp")).unwrap();
        let refused = consistency.change(metrics(), Some(Level::None)).unwrap_err();
        assert_eq!(refused.advice(), Some("nothing was changed"));
        assert_eq!(consistency.levels().get(&shard("metrics@1/0")), Level::Majority);
    }
}
