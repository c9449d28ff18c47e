//! Whom to ask: the config's peers, or what a file says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use peerstream_placement::{
    Changes, Holder, Look, Placement, ReplaceablePlacement, ShardState, StaticPlacement, WatchedFile,
};
use peerstream_types::{NodeId, ShardId};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::config::Config;
use crate::failure::{Failure, Result};

/// The peers of a configuration.
pub(crate) fn listed(config: &Config) -> Result<StaticPlacement> {
    let holders = config.peers.iter().map(|peer| Holder {
        node: peer.node.clone(),
        addr: peer.addr,
        state: ShardState::Available,
        datasets: peer.datasets.clone(),
        zone: peer.zone.clone(),
    });
    let placement = StaticPlacement::new(holders).map_err(|error| Failure::new(format!("peer: {error}")))?;
    Ok(placement.replicated(config.placement.replication))
}

/// Whom to ask.
#[derive(Debug, Clone)]
pub(crate) enum Placed {
    /// The config's peers, replaced when it is loaded afresh.
    Listed(Arc<ReplaceablePlacement>),
    /// A file.
    Watched(Arc<WatchedFile>),
}

impl Placed {
    /// As the config says; a file is read. Blocks.
    pub(crate) fn of(config: &Config) -> Result<Self> {
        let Some(path) = &config.placement.file else {
            return Ok(Self::Listed(Arc::new(ReplaceablePlacement::new(listed(config)?))));
        };
        let file = WatchedFile::open(path).map_err(|error| {
            Failure::new(error).hint("the README of peerstream-placement shows what such a file may say")
        })?;
        Ok(Self::Watched(Arc::new(file)))
    }

    /// Takes the peers of a new config, or the file as it is now; says whether that changed anything.
    /// Blocks.
    pub(super) fn reload(&self, next: &Config) -> Result<bool> {
        match self {
            Self::Listed(list) => Ok(list.replace(listed(next)?)),
            Self::Watched(file) => {
                let mut changes = file.changes();
                file.look_again();
                match file.fault() {
                    Some(error) => Err(Failure::new(error)),
                    None => Ok(changes.take()),
                }
            }
        }
    }

    /// Why the file as it is now is not in force.
    pub(super) fn fault(&self) -> Option<String> {
        match self {
            Self::Listed(_) => None,
            Self::Watched(file) => file.fault().map(|error| error.to_string()),
        }
    }

    /// Looks at the file now and then, until the answer is dropped.
    pub(super) fn watch(&self, every: Duration) -> Option<Watching> {
        match self {
            Self::Listed(_) => None,
            Self::Watched(file) => Some(Watching(tokio::spawn(watch(file.clone(), every)))),
        }
    }
}

impl Placement for Placed {
    fn holders(&self, shard: &ShardId) -> Vec<Holder> {
        match self {
            Self::Listed(list) => list.holders(shard),
            Self::Watched(file) => file.holders(shard),
        }
    }

    fn addr_of(&self, node: &NodeId) -> Option<SocketAddr> {
        match self {
            Self::Listed(list) => list.addr_of(node),
            Self::Watched(file) => file.addr_of(node),
        }
    }

    fn replication(&self, shard: &ShardId) -> Option<u32> {
        match self {
            Self::Listed(list) => list.replication(shard),
            Self::Watched(file) => file.replication(shard),
        }
    }

    fn changes(&self) -> Changes {
        match self {
            Self::Listed(list) => list.changes(),
            Self::Watched(file) => file.changes(),
        }
    }
}

/// Somebody looks at the file; ends with the node.
#[derive(Debug)]
pub(super) struct Watching(JoinHandle<()>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn watch(file: Arc<WatchedFile>, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let looked = tokio::task::spawn_blocking({
            let file = file.clone();
            move || file.look()
        });
        match looked.await {
            Ok(Look::Same) => {}
            Ok(Look::Taken) => tracing::info!(file = %file.path().display(), "the placement was read"),
            Ok(Look::Refused(error)) => {
                tracing::error!(%error, "a placement was refused, the last good one stays in force");
            }
            // The runtime ends, and the node with it.
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Overrides, load};

    const CONFIG: &str = "node = \"a\"\ncluster = \"demo\"\n[tls]\nca = \"ca\"\ncert = \"c\"\nkey = \"k\"\n\
                          [placement]\nfile = \"placement.toml\"\n";

    fn say(dir: &Path, node: &str) {
        let beside = dir.join("new");
        std::fs::write(&beside, format!("[[node]]\nnode = \"{node}\"\naddr = \"10.0.0.1:1\"\n")).unwrap();
        std::fs::rename(beside, dir.join("placement.toml")).unwrap();
    }

    /// F-75: the file is looked at while the node runs, off the thread that moves packets.
    #[tokio::test]
    async fn a_file_that_changes_is_taken_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("node.toml"), CONFIG).unwrap();
        let config = load(&dir.path().join("node.toml"), &Overrides::default()).unwrap();
        assert!(Placed::of(&config).unwrap_err().what().starts_with("placement file "), "it is missing");
        say(dir.path(), "b");
        let placed = Placed::of(&config).unwrap();
        let mut changes = placed.changes();
        let _watching = placed.watch(Duration::from_millis(1)).unwrap();
        say(dir.path(), "c");
        changes.changed().await;
        assert!(placed.addr_of(&NodeId::new("c").unwrap()).is_some());
        assert!(!placed.reload(&config).unwrap(), "nothing is new");
        std::fs::write(dir.path().join("placement.toml"), "").unwrap();
        assert!(placed.reload(&config).unwrap_err().what().contains("line 1: there is no [[node]]"));
        assert!(placed.fault().is_some() && placed.addr_of(&NodeId::new("c").unwrap()).is_some());
    }
}
