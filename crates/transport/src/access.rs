//! Who may do what: a rule table that denies by default.
//!
//! A transport proves who the peer is; these rules say what that peer may do. They are asked on
//! **every request**, never once per connection, so that a rule taken away counts at once, also for
//! peers that are connected.
//!
//! A request is allowed when **any** rule allows it, and denied when none does. There are no deny
//! rules, so the order of rules never changes an answer.
//!
//! ```
//! use peerstream_transport::access::{AccessRules, Verb};
//! use peerstream_transport::PeerIdentity;
//! use peerstream_types::{ClusterName, DatasetName, NodeId};
//!
//! let rules: AccessRules = serde_json::from_str(
//!     r#"[{ "who": "store-*", "datasets": "metrics", "verbs": ["list", "fetch"] }]"#,
//! )?;
//! let peer = PeerIdentity { cluster: ClusterName::new("demo")?, node: NodeId::new("store-7")? };
//! let metrics = DatasetName::new("metrics")?;
//!
//! assert!(rules.permits(&peer, &metrics, Verb::Fetch).is_ok());
//! let denied = rules.permits(&peer, &metrics, Verb::Offer).unwrap_err();
//! assert_eq!(denied.to_string(), "no rule allows store-7.demo to offer dataset metrics");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod pattern;
mod shared;
mod verb;

use std::collections::BTreeSet;

use peerstream_types::DatasetName;
use serde::{Deserialize, Serialize};

pub use pattern::{DatasetPattern, PatternError, WhoPattern};
pub use shared::SharedAccess;
pub use verb::{UnknownVerb, Verb};

use crate::PeerIdentity;

/// Most rules in one table. Every request walks the whole table in the worst case: 256 rules are a
/// few microseconds, and more than an operator can keep in mind.
pub const RULES_MAX: usize = 256;

/// Allows some peers some verbs on some datasets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Which peers.
    pub who: WhoPattern,
    /// Which datasets.
    pub datasets: DatasetPattern,
    /// What they may do; at least one verb.
    pub verbs: BTreeSet<Verb>,
}

impl Rule {
    fn allows(&self, peer: &PeerIdentity, dataset: &DatasetName, verb: Verb) -> bool {
        self.verbs.contains(&verb) && self.who.matches(&peer.node) && self.datasets.matches(dataset)
    }
}

/// Why a rule table was refused. The operator's configuration is at fault; the old table stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    /// More than [`RULES_MAX`] rules.
    #[error("{0} access rules, at most {RULES_MAX} are allowed; use prefixes like \"store-*\"")]
    TooMany(usize),
    /// A rule without verbs allows nothing, so it is surely a mistake.
    #[error("access rule {0} has no verbs and would allow nothing")]
    NoVerbs(usize),
}

/// No rule allows this. The peer asked for what it may not do; nothing was changed. Either the peer
/// is misconfigured or a rule is missing here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no rule allows {peer} to {verb} dataset {dataset}")]
pub struct Denied {
    /// Who asked.
    pub peer: PeerIdentity,
    /// For what.
    pub dataset: DatasetName,
    /// What it wanted to do.
    pub verb: Verb,
}

/// A table of rules. The default table is empty and denies everything.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<Rule>", into = "Vec<Rule>")]
pub struct AccessRules(Vec<Rule>);

impl AccessRules {
    /// Checks and keeps a table.
    ///
    /// # Errors
    ///
    /// More than [`RULES_MAX`] rules, or a rule without verbs (counted from 1).
    pub fn new(rules: Vec<Rule>) -> Result<Self, RulesError> {
        if rules.len() > RULES_MAX {
            return Err(RulesError::TooMany(rules.len()));
        }
        match rules.iter().position(|rule| rule.verbs.is_empty()) {
            Some(index) => Err(RulesError::NoVerbs(index + 1)),
            None => Ok(Self(rules)),
        }
    }

    /// Denies everything to everybody: the same as the default.
    pub fn deny_all() -> Self {
        Self::default()
    }

    /// Every member of the cluster may list and fetch every dataset, and nothing else.
    pub fn members_may_read() -> Self {
        Self::for_members([Verb::List, Verb::Fetch])
    }

    /// Every member of the cluster may do everything, [`Verb::Admin`] included: one stolen
    /// certificate is then the whole cluster.
    pub fn members_may_do_everything() -> Self {
        Self::for_members(Verb::ALL)
    }

    /// The rules in the order in which they were given.
    pub fn rules(&self) -> &[Rule] {
        &self.0
    }

    /// Whether `peer` may do `verb` on `dataset`. Ask for every request.
    ///
    /// # Errors
    ///
    /// [`Denied`] if no rule allows it.
    pub fn permits(&self, peer: &PeerIdentity, dataset: &DatasetName, verb: Verb) -> Result<(), Denied> {
        if self.0.iter().any(|rule| rule.allows(peer, dataset, verb)) {
            return Ok(());
        }
        Err(Denied { peer: peer.clone(), dataset: dataset.clone(), verb })
    }

    fn for_members(verbs: impl IntoIterator<Item = Verb>) -> Self {
        let verbs = verbs.into_iter().collect();
        Self(vec![Rule { who: WhoPattern::any_member(), datasets: DatasetPattern::any(), verbs }])
    }
}

impl TryFrom<Vec<Rule>> for AccessRules {
    type Error = RulesError;
    fn try_from(rules: Vec<Rule>) -> Result<Self, RulesError> {
        Self::new(rules)
    }
}

impl From<AccessRules> for Vec<Rule> {
    fn from(rules: AccessRules) -> Self {
        rules.0
    }
}

#[cfg(test)]
mod tests;
