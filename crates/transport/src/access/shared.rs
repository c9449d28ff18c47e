//! Rules that change while the node runs.

use std::sync::{Arc, PoisonError, RwLock};

use peerstream_types::DatasetName;

use super::{AccessRules, Denied, Verb};
use crate::PeerIdentity;

/// The rules in force, shared by everything that answers requests. Clones share the same rules.
///
/// A new table counts for the next request, also on connections and sessions that are open. The
/// default denies everything.
#[derive(Debug, Clone, Default)]
pub struct SharedAccess(Arc<RwLock<Arc<AccessRules>>>);

impl SharedAccess {
    /// Starts with `rules`.
    pub fn new(rules: AccessRules) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(rules))))
    }

    /// The rules of this moment. Do not keep them: ask again for the next request.
    pub fn current(&self) -> Arc<AccessRules> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts `rules` in force and returns those that they replace.
    pub fn replace(&self, rules: AccessRules) -> Arc<AccessRules> {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *current, Arc::new(rules))
    }

    /// [`AccessRules::permits`] by the rules of this moment.
    ///
    /// # Errors
    ///
    /// [`Denied`] if no rule allows it.
    pub fn permits(&self, peer: &PeerIdentity, dataset: &DatasetName, verb: Verb) -> Result<(), Denied> {
        self.current().permits(peer, dataset, verb)
    }
}
