//! Scenarios, by what they are about. Each of them keeps every promise, too.

pub(crate) mod agreement;
pub(crate) mod blocks;
pub(crate) mod content;
pub(crate) mod disks;
pub(crate) mod endings;
pub(crate) mod links;
pub(crate) mod moments;
pub(crate) mod phases;
pub(crate) mod refusals;
pub(crate) mod sessions;
pub(crate) mod sources;
pub(crate) mod stores;
pub(crate) mod trust;

use peerstream_sim::reach::Reach;
use peerstream_sim::watch::Watch;
use peerstream_sim::{Content, Sim, SimNode, SimWorld, shard};

/// Runs a scenario under a watch.
fn run(reach: &mut Reach, sim: Sim, scenario: impl AsyncFnOnce(&SimWorld)) {
    let (verdict, trace) = sim.run_traced(async |world| {
        let watch = Watch::over(&world);
        scenario(&world).await;
        watch.end().await
    });
    verdict.expect_clean();
    reach.add(&verdict.books.reach);
    reach.trace(&trace);
}

/// A donor with large and small entries.
fn donor(world: &SimWorld, name: &str) -> SimNode {
    let donor = world.donor(name);
    let content = Content { large: 2, large_len: 1 << 20, empty: 1, ..Content::small(30) };
    content.fill(&donor.store, &shard(0), 1);
    donor
}
