//! Which level counts for which recovery: set for a node, a dataset, a shard or one recovery, and changed
//! while recoveries run (row F-20).
//!
//! The narrowest setting counts. At one width, what was set while the node runs goes over what its
//! config says, until it is taken back. Where nothing says anything, it is [`Level::default_of`] the
//! operation.

mod settings;
mod text;

use std::collections::BTreeMap;
use std::fmt;

use peerstream_types::{DatasetName, Operation, PlanId, ShardId};

use crate::Level;

pub use settings::{LevelSettings, LevelSettingsError, SETTINGS_MAX};

/// Most recoveries with a level of their own: as many as a node runs at a time, and more.
pub const RECOVERIES_MAX: usize = 4096;

/// What a level is set for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LevelScope {
    /// Everything at this node.
    Node,
    /// All versions and shards of a dataset.
    Dataset(DatasetName),
    /// One shard.
    Shard(ShardId),
    /// One recovery: a shard of one plan. Ends with it, and is not kept.
    Recovery(PlanId, ShardId),
}

impl LevelScope {
    /// Whether what is set for this can count for a shard.
    pub fn covers(&self, shard: &ShardId) -> bool {
        match self {
            Self::Node => true,
            Self::Dataset(dataset) => *dataset == shard.dataset,
            Self::Shard(one) | Self::Recovery(_, one) => one == shard,
        }
    }
}

impl fmt::Display for LevelScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node => f.write_str("the node"),
            Self::Dataset(dataset) => write!(f, "dataset {dataset}"),
            Self::Shard(shard) => write!(f, "shard {shard}"),
            Self::Recovery(plan, shard) => write!(f, "shard {shard} of plan {plan}"),
        }
    }
}

/// Who said which level counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LevelSource {
    /// Nobody: it is the default.
    Default,
    /// The config.
    Configured,
    /// It was set while the node runs.
    Set,
}

impl LevelSource {
    /// Its name in reports: `default`, `configured` or `set`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Configured => "configured",
            Self::Set => "set",
        }
    }
}

/// The level that counts somewhere, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// The level.
    pub level: Level,
    /// What it is set for: the narrowest setting that covers the place.
    pub scope: LevelScope,
    /// Who set it.
    pub source: LevelSource,
}

/// The levels of a node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LevelPolicy {
    configured: LevelSettings,
    set: LevelSettings,
    recoveries: BTreeMap<PlanId, BTreeMap<ShardId, Level>>,
}

impl LevelPolicy {
    /// What the config says, and what was set since and kept.
    pub fn new(configured: LevelSettings, set: LevelSettings) -> Self {
        Self { configured, set, recoveries: BTreeMap::new() }
    }

    /// Replaces what the config says; what was set stays set.
    pub fn configure(&mut self, configured: LevelSettings) {
        self.configured = configured;
    }

    /// Sets a level; gives the one that was set there before, if one was.
    ///
    /// # Errors
    ///
    /// [`LevelSettingsError::TooMany`]; nothing was changed.
    pub fn set(&mut self, scope: LevelScope, level: Level) -> Result<Option<Level>, LevelSettingsError> {
        let LevelScope::Recovery(plan, shard) = scope else { return self.set.set(&scope, level) };
        let there_are: usize = self.recoveries.values().map(BTreeMap::len).sum();
        if there_are >= RECOVERIES_MAX && self.of_recovery(plan, &shard).is_none() {
            return Err(LevelSettingsError::TooMany(RECOVERIES_MAX));
        }
        Ok(self.recoveries.entry(plan).or_default().insert(shard, level))
    }

    /// Takes back what was set; gives it, if anything was. What the config says counts again.
    pub fn unset(&mut self, scope: &LevelScope) -> Option<Level> {
        match scope {
            LevelScope::Recovery(plan, shard) => {
                let of_plan = self.recoveries.get_mut(plan)?;
                let unset = of_plan.remove(shard);
                if of_plan.is_empty() {
                    self.recoveries.remove(plan);
                }
                unset
            }
            LevelScope::Node | LevelScope::Dataset(_) | LevelScope::Shard(_) => self.set.unset(scope),
        }
    }

    /// Forgets the levels of the recoveries of a plan that has ended; says whether there were any.
    pub fn forget(&mut self, plan: PlanId) -> bool {
        self.recoveries.remove(&plan).is_some()
    }

    /// What was set while the node runs, without what was set for single recoveries: what is to be kept.
    pub fn settings(&self) -> &LevelSettings {
        &self.set
    }

    /// What the config says.
    pub fn configured(&self) -> &LevelSettings {
        &self.configured
    }

    /// The level of a shard, for every recovery without one of its own that is no repair. Allocates nothing,
    /// as [`level_of`](Self::level_of): jobs ask for every decision.
    pub fn level(&self, shard: &ShardId) -> Level {
        self.lasting(shard).unwrap_or_default()
    }

    fn lasting(&self, shard: &ShardId) -> Option<Level> {
        let all = [&self.set, &self.configured];
        let of_shard = all.iter().find_map(|settings| settings.shards.get(shard));
        let of_dataset = || all.iter().find_map(|settings| settings.datasets.get(&shard.dataset));
        let of_node = || all.iter().find_map(|settings| settings.node.as_ref());
        of_shard.or_else(of_dataset).or_else(of_node).copied()
    }

    /// The level of one recovery, for which a plan brings the shard up. Where nothing is set, the operation
    /// of the plan decides (row F-16).
    pub fn level_of(&self, plan: PlanId, operation: Operation, shard: &ShardId) -> Level {
        let found = self.of_recovery(plan, shard).or_else(|| self.lasting(shard));
        found.unwrap_or_else(|| Level::default_of(operation))
    }

    fn of_recovery(&self, plan: PlanId, shard: &ShardId) -> Option<Level> {
        self.recoveries.get(&plan)?.get(shard).copied()
    }

    /// The level that counts for all of `scope` for which nothing narrower says otherwise. If that is nobody's
    /// word but the default, repairs have [their own](Level::default_of).
    pub fn at(&self, scope: &LevelScope) -> InForce {
        let mut next = Some(scope.clone());
        while let Some(scope) = next {
            let found = match &scope {
                LevelScope::Recovery(plan, shard) => {
                    self.of_recovery(*plan, shard).map(|level| (level, LevelSource::Set))
                }
                LevelScope::Node | LevelScope::Dataset(_) | LevelScope::Shard(_) => {
                    let set = self.set.get(&scope).map(|level| (level, LevelSource::Set));
                    set.or_else(|| Some((self.configured.get(&scope)?, LevelSource::Configured)))
                }
            };
            if let Some((level, source)) = found {
                return InForce { level, scope, source };
            }
            next = wider(scope);
        }
        InForce { level: Level::default(), scope: LevelScope::Node, source: LevelSource::Default }
    }
}

/// The next wider scope.
fn wider(scope: LevelScope) -> Option<LevelScope> {
    match scope {
        LevelScope::Recovery(_, shard) => Some(LevelScope::Shard(shard)),
        LevelScope::Shard(shard) => Some(LevelScope::Dataset(shard.dataset)),
        LevelScope::Dataset(_) => Some(LevelScope::Node),
        LevelScope::Node => None,
    }
}

#[cfg(test)]
mod tests;
