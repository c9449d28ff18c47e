//! What the admin API says and takes of consistency levels, as JSON.

pub(super) mod routes;

use serde::{Deserialize, Serialize};

/// The level that counts somewhere, and all that is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsistencyView {
    /// What was asked for.
    pub of: String,
    /// The level that counts there.
    pub in_force: LevelView,
    /// What is configured or set, the widest first.
    pub settings: Vec<LevelView>,
}

/// A level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelView {
    /// Its name.
    pub level: String,
    /// What it is set for: `the node`, `dataset metrics`, `shard metrics@1/0`.
    pub set_for: String,
    /// Who set it: `default`, `configured` or `set`.
    pub source: String,
}

/// A level is to be set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsistencyRequest {
    /// Which; nothing takes back what was set.
    pub level: Option<String>,
    /// For which dataset; nothing means the node. With a shard, `name@version` if there are several
    /// versions.
    #[serde(default)]
    pub dataset: Option<String>,
    /// For which shard of the dataset; nothing means all.
    #[serde(default)]
    pub shard: Option<u32>,
    /// For the recovery of the shard by this plan only, as long as that runs; not kept.
    #[serde(default)]
    pub plan: Option<String>,
}

/// What a change did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsistencyChange {
    /// What the level was set for.
    pub of: String,
    /// The level that counted there before.
    pub before: LevelView,
    /// The level that counts there now.
    pub now: LevelView,
    /// The recoveries that run and whose level changed.
    pub recoveries: Vec<ConcernedView>,
}

/// A recovery whose level changed while it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConcernedView {
    /// Its plan.
    pub plan: String,
    /// Its shard.
    pub shard: String,
    /// Its level before.
    pub before: String,
    /// Its level now.
    pub now: String,
}
