//! How many replicas have to agree, as the config says it.

use std::collections::BTreeMap;

use peerstream_select::{Level, LevelScope, LevelSettings};
use peerstream_types::DatasetName;
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Result};

/// Consistency levels; what is set while the node runs goes over them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Consistency {
    /// That of every dataset which says nothing else: `none`, `one`, `unstrict_majority`, `majority`,
    /// `unstrict_all` or `all`. Default `majority`.
    pub level: Level,
    /// Those of single datasets. Default none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub datasets: BTreeMap<DatasetName, Level>,
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
        for (scope, level) in datasets.chain([(LevelScope::Node, &self.level)]) {
            settings.set(&scope, *level).map_err(|error| Failure::new(format!("consistency: {error}")))?;
        }
        Ok(settings)
    }
}
