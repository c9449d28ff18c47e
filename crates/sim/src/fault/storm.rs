//! Faults come at their times, end again, and what was to come up comes up.

use std::time::Duration;

use peerstream_types::{NodeId, ShardId};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::{Fault, Timed};
use crate::world::SimWorld;

/// How long until something is tried again that did not end well.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Starts again whatever ends, until it is dropped.
#[derive(Debug)]
pub struct Supervisor(AbortHandle);

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl SimWorld {
    /// Lets faults happen, each at its time from now on, in the order in which they are given.
    ///
    /// # Panics
    ///
    /// As [`SimWorld::inject`].
    pub async fn inject_all<'a>(&self, faults: impl IntoIterator<Item = &'a Timed>) {
        let started = Instant::now();
        for timed in faults {
            tokio::time::sleep_until(started + timed.at()).await;
            self.inject(&timed.fault);
        }
    }

    /// Ends all that is wrong with the machines, and with the links that these faults are about, and calls
    /// off crashes that are still to come. Nodes that are down are started.
    pub fn mend<'a>(&self, faults: impl IntoIterator<Item = &'a Timed>) -> Supervisor {
        for node in self.all_nodes() {
            self.disarm(&node);
            self.apply(&Fault::Recover(node.id));
        }
        for timed in faults {
            if let [a, b] = timed.fault.nodes()[..] {
                self.apply(&Fault::Heal { a: a.clone(), b: b.clone() });
            }
        }
        Supervisor(tokio::spawn(supervise(self.clone())).abort_handle())
    }

    /// Brings shards up at a node until it has them, however often it crashes or a plan fails. Says how
    /// many plans it took.
    ///
    /// # Panics
    ///
    /// If the node was never started.
    pub async fn bring_up(&self, node: &NodeId, shards: &[ShardId]) -> u64 {
        let mut plans = 0;
        loop {
            plans += 1;
            let node = loop {
                let node = self.node(node).unwrap_or_else(|| panic!("there is no node {node}"));
                if node.is_running() {
                    break node;
                }
                self.sleep(AGAIN_AFTER).await;
            };
            let plan = node.bring_up(shards);
            let crashed = async {
                // A plan of a process that is gone never ends.
                while node.is_running() {
                    self.sleep(AGAIN_AFTER).await;
                }
            };
            tokio::select! {
                biased;
                outcome = plan => if outcome.is_completed() { return plans },
                () = crashed => {}
            }
            self.sleep(AGAIN_AFTER).await;
        }
    }
}

async fn supervise(world: SimWorld) {
    loop {
        for node in world.all_nodes() {
            world.apply(&Fault::Restart(node.id));
        }
        world.sleep(AGAIN_AFTER).await;
    }
}
