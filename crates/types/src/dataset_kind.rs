//! How the replicas of a dataset are related.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How the replicas of a dataset are related, which decides what may be made of unequal inventories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DatasetKind {
    /// Every replica has other entries for the same data, as the files of an LSM tree are: one source's
    /// manifest is the truth, and nothing is compared.
    #[default]
    Local,
    /// An entry has the same content wherever it is: sealed segments, Parquet files. Manifests are
    /// compared, and entries where those differ.
    Identical,
    /// Unequal copies of an entry are merged by the store.
    Mergeable,
}

impl DatasetKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Local, Self::Identical, Self::Mergeable];

    /// Its name in configs and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Identical => "identical",
            Self::Mergeable => "mergeable",
        }
    }
}

impl fmt::Display for DatasetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A text that names no kind of dataset. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no kind of dataset; there are local, identical and mergeable")]
pub struct ParseDatasetKindError(String);

impl FromStr for DatasetKind {
    type Err = ParseDatasetKindError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = Self::ALL.into_iter().find(|kind| kind.name() == text);
        named.ok_or_else(|| ParseDatasetKindError(text.chars().take(64).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back_and_no_other() {
        for kind in DatasetKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert!("replicated".parse::<DatasetKind>().is_err());
    }
}
