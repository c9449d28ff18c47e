//! The unit of placement.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::DatasetName;

/// One shard of one version of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShardId {
    /// The dataset.
    pub dataset: DatasetName,
    /// The dataset's version: a new version is another set of shards.
    pub version: u64,
    /// The shard's index in the dataset.
    pub index: u32,
}

impl ShardId {
    /// Names a shard.
    pub fn new(dataset: DatasetName, version: u64, index: u32) -> Self {
        Self { dataset, version, index }
    }
}

/// Why a text is not a shard id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a shard id of the form dataset@version/index")]
pub struct ParseShardIdError(String);

impl std::str::FromStr for ShardId {
    type Err = ParseShardIdError;

    /// Reads `dataset@version/index`, the form that `Display` writes.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (dataset, rest) = text.split_once('@')?;
            let (version, index) = rest.split_once('/')?;
            Some(Self::new(DatasetName::new(dataset).ok()?, version.parse().ok()?, index.parse().ok()?))
        };
        parse().ok_or_else(|| ParseShardIdError(text.chars().take(200).collect()))
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}/{}", self.dataset, self.version, self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// F-01: what is moved has a typed name: dataset, version, shard.
    #[test]
    fn a_shard_id_reads_back_what_it_prints() {
        let shard = ShardId::new(DatasetName::new("metrics").unwrap(), 3, 17);
        assert_eq!(shard.to_string().parse::<ShardId>().unwrap(), shard);
        for bad in ["", "metrics", "metrics@1", "@1/2", "m@x/1", "../m@1/2", "m@1/-1"] {
            assert!(bad.parse::<ShardId>().is_err(), "{bad:?}");
        }
    }
}
