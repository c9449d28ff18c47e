//! A writer that keeps a shard moving at the nodes that hold it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use peerstream_snapshot::MemoryStore;
use peerstream_types::NodeId;
use tokio::task::AbortHandle;

use super::History;
use crate::node::SimNode;
use crate::random::Random;
use crate::world::SimWorld;

/// Moves a shard on at its donors, one version after another: all come to the same versions, each at
/// times of its own, so that their snapshots differ. In memory a write takes no time; on a disk each is
/// a generation. A donor that is down goes on when it is back. Ends when it is dropped.
#[derive(Debug)]
pub struct Writer {
    history: History,
    versions: Versions,
    tasks: Vec<AbortHandle>,
}

/// Which version each donor holds. Clones are the same.
#[derive(Debug, Clone, Default)]
struct Versions(Arc<Mutex<BTreeMap<NodeId, u64>>>);

impl Versions {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeId, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    /// Gives the donors the first version of a shard, and then writes to each about once in `every`.
    pub async fn start(world: &SimWorld, history: History, donors: &[SimNode], every: Duration) -> Self {
        let mut writer = Self { history, versions: Versions::default(), tasks: Vec::new() };
        for (number, donor) in (0..).zip(donors) {
            writer.begin(donor).await;
            let at = OneDonor {
                world: world.clone(),
                history: writer.history.clone(),
                versions: writer.versions.clone(),
                donor: donor.id.clone(),
                random: Random::fork(world.seed(), WRITERS + number),
                every,
                model: None,
            };
            writer.tasks.push(tokio::spawn(at.run()).abort_handle());
        }
        writer
    }

    async fn begin(&self, donor: &SimNode) {
        match donor.store.as_memory() {
            Some(store) => self.history.begin(store),
            None => {
                let published = donor.publish(self.history.shard(), &self.history.at(0)).await;
                published.unwrap_or_else(|error| panic!("{} cannot be filled: {error}", donor.id));
            }
        }
        self.versions.lock().insert(donor.id.clone(), 0);
    }

    /// What the versions hold.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Which version a donor has come to.
    pub fn version(&self, donor: &NodeId) -> Option<u64> {
        self.versions.lock().get(donor).copied()
    }

    /// Writes no more.
    pub fn stop(&self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The streams of numbers that writers take their times from.
const WRITERS: u64 = 5_000;

/// What one donor is written.
struct OneDonor {
    world: SimWorld,
    history: History,
    versions: Versions,
    donor: NodeId,
    random: Random,
    every: Duration,
    /// What a donor with a disk is to hold next, and which version that is.
    model: Option<(u64, MemoryStore)>,
}

impl OneDonor {
    async fn run(mut self) {
        loop {
            // Between half of the time and one and a half.
            let percent = 50 + u32::try_from(self.random.below(101)).unwrap_or(0);
            tokio::time::sleep(self.every * percent / 100).await;
            let next = self.versions.lock().get(&self.donor).map_or(1, |version| version + 1);
            let Some(donor) = self.world.node(&self.donor).filter(SimNode::is_running) else { continue };
            let written = tokio::select! {
                biased;
                () = donor.process.life.over() => false,
                written = self.write(&donor, next) => written,
            };
            if written {
                self.world.trace().note(self.donor.as_str(), format_args!("writes version {next}"));
                self.versions.lock().insert(self.donor.clone(), next);
            }
        }
    }

    /// Says whether the donor took it.
    async fn write(&mut self, donor: &SimNode, version: u64) -> bool {
        match donor.store.as_memory() {
            Some(store) => {
                self.history.write(store, version);
                true
            }
            None => {
                let model = self.model(version);
                donor.publish(self.history.shard(), &model).await.is_ok()
            }
        }
    }

    /// A store that holds a version: the one of the version before, moved on.
    fn model(&mut self, version: u64) -> MemoryStore {
        let model = match self.model.take() {
            Some((at, model)) if at == version => model,
            Some((at, model)) if at + 1 == version => {
                self.history.write(&model, version);
                model
            }
            _ => self.history.at(version),
        };
        self.model = Some((version, model.clone()));
        model
    }
}
