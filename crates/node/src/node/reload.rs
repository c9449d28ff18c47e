//! Certificates, access rules, peers and levels taken afresh while the node runs.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use peerstream_quic::QuicTransport;
use peerstream_transport::SharedAccess;
use serde::{Deserialize, Serialize};

use super::consistency::Consistency;
use super::placement::{Placed, listed};
use super::start::credentials;
use crate::config::{Config, Overrides, load};
use crate::failure::{Failure, Result};

/// What a reload did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReloadReport {
    /// What is in force now and was another before. Certificates are always taken afresh and always
    /// named here.
    pub changed: Vec<String>,
    /// What the file says otherwise than the running node, and takes a restart.
    pub needs_restart: Vec<String>,
}

/// Where the configuration comes from, and what takes it.
#[derive(Debug)]
pub(super) struct Reload {
    pub(super) path: PathBuf,
    pub(super) overrides: Overrides,
    pub(super) transport: Arc<QuicTransport>,
    pub(super) access: SharedAccess,
    pub(super) placement: Placed,
    pub(super) consistency: Consistency,
    /// The configuration whose access rules, peers and levels are in force. Locked for a whole reload, so
    /// that two of them do not mix.
    pub(super) in_force: Mutex<Config>,
}

impl Reload {
    /// All or nothing: whatever can fail comes before whatever changes; only a placement that is good
    /// counts whatever else there is, as it would at the next look.
    pub(super) fn run(&self, started: &Config) -> Result<ReloadReport> {
        let mut in_force = self.in_force.lock().unwrap_or_else(PoisonError::into_inner);
        let next = load(&self.path, &self.overrides)?;
        let levels = next.consistency.settings()?;
        listed(&next)?;
        let credentials = credentials(&next)?;
        let is_placed_anew = self.placement.reload(&next)?;
        self.transport
            .reload(&credentials)
            .map_err(|error| Failure::new(error).hint("the old certificates stay in use"))?;
        let mut report =
            ReloadReport { changed: vec!["tls".to_owned()], needs_restart: needs_restart(started, &next) };
        if next.access != in_force.access {
            self.access.replace(next.access.clone());
            report.changed.push("access".to_owned());
        }
        if is_placed_anew {
            report.changed.push(if next.placement.file.is_some() { "placement" } else { "peer" }.to_owned());
        }
        if next.consistency.levels() != in_force.consistency.levels() {
            self.consistency.configure(levels);
            report.changed.push("consistency".to_owned());
        }
        *in_force = next;
        Ok(report)
    }
}

/// Settings that are read once, and now differ.
fn needs_restart(started: &Config, next: &Config) -> Vec<String> {
    let differs = [
        ("node", started.node != next.node),
        ("cluster", started.cluster != next.cluster),
        ("listen", started.listen != next.listen),
        ("data_dir", started.data_dir != next.data_dir),
        ("log", started.log != next.log),
        ("log_format", started.log_format != next.log_format),
        ("admin", started.admin != next.admin),
        (
            "placement",
            (&started.placement.file, started.placement.poll) != (&next.placement.file, next.placement.poll),
        ),
        ("consistency", started.consistency.fixed() != next.consistency.fixed()),
        ("sources", started.sources != next.sources),
        ("dataset", started.datasets != next.datasets),
        ("limits", started.limits != next.limits),
    ];
    differs.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name.to_owned()).collect()
}
