//! What a peer can ask for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a peer can ask to do with a dataset. Append-only: a verb keeps its name and its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Verb {
    /// See which shards and entries there are: offers, inventories, manifests.
    List,
    /// Read the content of entries.
    Fetch,
    /// Offer data for this node to pull: bulk loads and repairs.
    Offer,
    /// Follow a feed of changes and pull what it names.
    Replicate,
    /// Run queries over records.
    Query,
    /// Change limits, levels and placement; drain.
    Admin,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Self; 6] =
        [Self::List, Self::Fetch, Self::Offer, Self::Replicate, Self::Query, Self::Admin];

    /// The name as it stands in a configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Fetch => "fetch",
            Self::Offer => "offer",
            Self::Replicate => "replicate",
            Self::Query => "query",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Not the name of a verb.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown verb {0:?}: it is one of list, fetch, offer, replicate, query, admin")]
pub struct UnknownVerb(pub String);

impl FromStr for Verb {
    type Err = UnknownVerb;
    fn from_str(name: &str) -> Result<Self, UnknownVerb> {
        let known = Self::ALL.into_iter().find(|verb| verb.as_str() == name);
        known.ok_or_else(|| UnknownVerb(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verb_has_one_name_everywhere() {
        for verb in Verb::ALL {
            assert_eq!(verb.to_string().parse(), Ok(verb));
            assert_eq!(serde_json::to_string(&verb).unwrap(), format!("\"{verb}\""));
        }
        let listed: Vec<&str> = Verb::ALL.into_iter().map(Verb::as_str).collect();
        let error = "write".parse::<Verb>().unwrap_err().to_string();
        assert!(error.ends_with(&listed.join(", ")), "{error}");
    }
}
