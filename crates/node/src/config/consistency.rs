//! How many replicas have to agree, as the config says it.

use std::collections::BTreeMap;
use std::time::Duration;

use peerstream_engine::EngineConfig;
use peerstream_select::{Level, LevelScope, LevelSettings, OwnVote};
use peerstream_types::DatasetName;
use serde::{Deserialize, Serialize};

use super::Wait;
use crate::failure::{Failure, Result};

/// Longest `compare_wait`: every recovery whose replicas differ waits for so long while one of them is dead.
const COMPARE_WAIT_MAX: Duration = Duration::from_secs(3600);

/// Consistency levels; what is set while the node runs goes over them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Consistency {
    /// That of every dataset which says nothing else: `none`, `one`, `unstrict_majority`, `majority`,
    /// `unstrict_all` or `all`. Default `majority`, and `unstrict_majority` for repairs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// Those of single datasets. Default none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub datasets: BTreeMap<DatasetName, Level>,
    /// How long the rest of the replicas is waited for once enough have answered and do not agree. Default
    /// 5s, at most an hour.
    pub compare_wait: Wait,
    /// Whether this node counts itself among those who agree, for data that it lacks, as soon as the
    /// placement says that its replica is available. Default no: only whoever has the data has a vote.
    pub own_vote: bool,
}

impl Default for Consistency {
    fn default() -> Self {
        let engine = EngineConfig::default();
        Self {
            level: None,
            datasets: BTreeMap::new(),
            compare_wait: Wait(engine.recovery.compare_wait),
            own_vote: engine.own_vote == OwnVote::WhereAvailable,
        }
    }
}

impl Consistency {
    /// The settings of a policy.
    ///
    /// # Errors
    ///
    /// If there are too many.
    pub fn settings(&self) -> Result<LevelSettings> {
        let mut settings = LevelSettings::default();
        let datasets = self.datasets.iter().map(|(name, level)| (LevelScope::Dataset(name.clone()), level));
        let of_node = self.level.iter().map(|level| (LevelScope::Node, level));
        for (scope, level) in datasets.chain(of_node) {
            settings.set(&scope, *level).map_err(|error| Failure::new(format!("consistency: {error}")))?;
        }
        Ok(settings)
    }

    /// The levels in it, which may change while the node runs.
    pub(crate) fn levels(&self) -> (Option<Level>, &BTreeMap<DatasetName, Level>) {
        (self.level, &self.datasets)
    }

    /// What is read once.
    pub(crate) fn fixed(&self) -> (Wait, bool) {
        (self.compare_wait, self.own_vote)
    }

    /// Puts it into the settings of the engine; levels are asked for while it runs.
    pub(super) fn apply(&self, config: &mut EngineConfig) {
        config.recovery.compare_wait = self.compare_wait.0;
        config.own_vote = if self.own_vote { OwnVote::WhereAvailable } else { OwnVote::WhereHeld };
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.compare_wait.0 > COMPARE_WAIT_MAX {
            let (got, most) = (self.compare_wait, Wait(COMPARE_WAIT_MAX));
            let what = format!("consistency.compare_wait is {got}, at most {most} is allowed");
            return Err(Failure::new(what));
        }
        Ok(())
    }
}
