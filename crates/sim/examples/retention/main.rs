//! When may a store delete what it serves? The author of a store tests the answer over many seeds, with
//! faults, against the promises that hold in every run; and sees that the tests catch a wrong one.
//!
//! ```sh
//! cargo run -p peerstream-sim --example retention
//! cargo run -p peerstream-sim --example retention -- at-once 3    # what happened with one seed
//! ```
#![expect(clippy::print_stdout, reason = "what it finds is its output")]

mod blocks;

use std::sync::Arc;
use std::time::Duration;

use peerstream_sim::fault::Mix;
use peerstream_sim::random::Random;
use peerstream_sim::watch::{Blame, Verdict, Watch};
use peerstream_sim::{Dataset, Network, NodeSpec, OwnStore, Sim, SimNode, SimWorld, shard};

use blocks::{Blocks, Retention};

/// Seeds that a policy is tried with.
const SEEDS: std::ops::Range<u64> = 0..20;
/// Label of the stream of chance that writers take their times from.
const WRITERS: u64 = 1;

/// Starts a node with a store of ours, which is written to all the time.
fn donor(world: &SimWorld, name: &str, retention: Retention) -> SimNode {
    let blocks = Blocks::new(shard(0), retention);
    let disk = blocks.clone();
    let store = OwnStore::new(move || Dataset {
        source: Some(Arc::new(disk.restarted())),
        sink: None,
        ..Dataset::default()
    });
    let node = world.start(NodeSpec::donor(name).with_store(store));
    node.faults.delay_reads(Duration::from_millis(40));
    let mut random = Random::fork(world.seed(), WRITERS);
    let world = world.clone();
    tokio::spawn(async move {
        loop {
            world.sleep(Duration::from_millis(10 + random.below(20))).await;
            blocks.write();
        }
    });
    node
}

/// A replica is brought up while anything may happen to it and to one of the donors.
async fn trial(world: SimWorld, retention: Retention) -> Verdict {
    let watch = Watch::over(&world);
    // Nothing is broken for good, and one donor is spared: nothing excuses a shard that fails.
    watch.blame(Blame::default());
    let (donor, _spared) = (donor(&world, "donor", retention), donor(&world, "spared", retention));
    let replica = world.replica("replica");
    let mix = Mix { disks: false, ..Mix::default() };
    let faults = mix.draw(world.seed(), world.network(), &[donor.id], std::slice::from_ref(&replica.id));
    let up = {
        let (world, replica) = (world.clone(), replica.id.clone());
        tokio::spawn(async move { world.bring_up(&replica, &[shard(0)]).await })
    };
    world.inject_all(&faults).await;
    let _supervisor = world.mend(&faults);
    watch.calm();
    up.await.expect("it is brought up in the end");
    watch.end().await
}

/// The first promise that a policy breaks with a seed, and what happened.
fn check(retention: Retention, seed: u64) -> Result<String, (String, String)> {
    let sim = Sim::new(Network::Memory, seed);
    let (verdict, trace) = sim.try_run(async |world| trial(world, retention).await)?;
    match verdict.violations.first() {
        None => Ok(trace),
        Some(violation) => Err((violation.to_string(), trace)),
    }
}

/// How many seeds break a promise, and the first of them with what it breaks.
fn failures(retention: Retention) -> (usize, Option<(u64, String)>) {
    let failed = SEEDS.filter_map(|seed| Some((seed, check(retention, seed).err()?.0)));
    let failed: Vec<_> = failed.collect();
    (failed.len(), failed.into_iter().next())
}

fn main() -> Result<(), String> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [retention, seed] = &args[..] {
        let retention = match retention.as_str() {
            "once-unread" => Retention::OnceUnread,
            "at-once" => Retention::AtOnce,
            other => return Err(format!("{other} is neither once-unread nor at-once")),
        };
        let seed = seed.parse().map_err(|error| format!("{seed}: {error}"))?;
        let (Ok(trace) | Err((_, trace))) = check(retention, seed);
        println!("{trace}");
        return Ok(());
    }
    let (count, first) = failures(Retention::OnceUnread);
    if let Some((seed, what)) = first {
        return Err(format!("{count} seeds break a promise, {seed} the first: {what}"));
    }
    println!("once-unread: {} seeds, every promise holds", SEEDS.end);
    let (count, first) = failures(Retention::AtOnce);
    let (seed, what) = first.ok_or("no seed notices that blocks are deleted at once")?;
    println!("at-once: caught by {count} seeds. The first is {seed}:\n  {what}");
    println!("to repeat it:\n  cargo run -p peerstream-sim --example retention -- at-once {seed}");
    Ok(())
}
