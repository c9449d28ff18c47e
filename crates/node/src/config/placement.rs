//! Who holds what, as the config says it or where it finds it.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Wait;
use crate::failure::{Failure, Result};

/// Shortest `poll`: looking more often costs more than anybody gains by it.
const POLL_MIN: Duration = Duration::from_millis(100);

/// Where it stands who holds what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlacementConfig {
    /// A file that says it, in the format of `peerstream-placement`; read again when it changes. Default
    /// none: the [`Peer`](super::Peer)s hold what they say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// How often the file is looked at. Default 2s, at least 100ms.
    pub poll: Wait,
    /// How many replicas a shard is meant to have, where there is no file to say it. Default: as many as
    /// are known, this node among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replication: Option<NonZeroU32>,
}

impl Default for PlacementConfig {
    fn default() -> Self {
        Self { file: None, poll: Wait(Duration::from_secs(2)), replication: None }
    }
}

impl PlacementConfig {
    /// What does not go together.
    pub(super) fn check(&self, names_peers: bool) -> Result<()> {
        if self.poll.0 < POLL_MIN {
            let (got, least) = (self.poll, Wait(POLL_MIN));
            let what = format!("placement.poll is {got}, at least {least} is needed");
            return Err(Failure::new(what).hint("leave it out for the default"));
        }
        if self.file.is_some() && names_peers {
            return Err(Failure::new("placement.file and [[peer]] both say who holds what")
                .hint("move the peers into the file, as [[node]]"));
        }
        if self.file.is_some() && self.replication.is_some() {
            return Err(Failure::new("placement.replication is for [[peer]], and placement.file is set")
                .hint("write `replication` into the file"));
        }
        Ok(())
    }
}
