//! What nobody uses any more is removed now and then.

use std::sync::Arc;
use std::time::Duration;

use peerstream_types::WallClock;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::held::Held;
use crate::clock::SystemClock;

/// How often: space comes back within this time, and a look costs nothing.
const INTERVAL: Duration = Duration::from_secs(60);

/// The cleaning of a node; ends with it.
#[derive(Debug)]
pub(super) struct Cleaning(JoinHandle<()>);

impl Drop for Cleaning {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Cleans until the answer is dropped.
pub(super) fn start(held: Vec<Arc<Held>>) -> Cleaning {
    Cleaning(tokio::spawn(async move {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            clean(&held).await;
        }
    }))
}

async fn clean(held: &[Arc<Held>]) {
    let now_ms = SystemClock.unix_ms();
    for (dataset, checkpoints) in held.iter().flat_map(|held| held.checkpoints()) {
        if let Err(error) = checkpoints.clean(now_ms).await {
            tracing::warn!(dataset, %error, "checkpoints that nobody uses could not be removed; tried again in a minute");
        }
    }
}
