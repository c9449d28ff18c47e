//! How large a fleet one core carries: every node shakes hands with a donor and brings one small shard
//! up. Prints what that cost. An *event* is what the network carries at once: a datagram over QUIC, a
//! write to a stream in memory.
//!
//! ```sh
//! cargo run --release -p peerstream-sim --example fleet -- --network quic --nodes 1000
//! cargo run --release -p peerstream-sim --example fleet -- --network memory --nodes 10000
//! ```
//!
//! `--wave N`: so many nodes are brought up at a time (default 100). `--per-donor N`: so many nodes
//! ask the same donor (default 50).

use std::collections::BTreeMap;
use std::time::Instant;

use peerstream_engine::StreamPlan;
use peerstream_sim::{Content, Network, Sim, SimNode, SimWorld, shard};
use peerstream_types::Operation;

/// Sixteen entries of 4 KiB.
fn content() -> Content {
    Content { small: 16, small_len: 4096..4097, ..Content::none() }
}

#[derive(Debug, Clone, Copy)]
struct Fleet {
    network: Network,
    nodes: usize,
    wave: usize,
    per_donor: usize,
}

impl Fleet {
    fn from_args(args: impl Iterator<Item = String>) -> Result<Self, String> {
        let args: Vec<_> = args.collect();
        let mut given: BTreeMap<&str, &str> = BTreeMap::new();
        for pair in args.chunks(2) {
            let [name, value] = pair else { return Err(format!("{} has no value", pair[0])) };
            given.insert(name, value);
        }
        let network = match given.remove("--network") {
            None | Some("quic") => Network::Quic,
            Some("memory") => Network::Memory,
            Some(other) => return Err(format!("{other} is no network: quic or memory")),
        };
        let mut number = |name, default| match given.remove(name) {
            None => Ok(default),
            Some(value) => value.parse::<usize>().map_err(|error| format!("{name} {value}: {error}")),
        };
        let nodes = number("--nodes", 1000)?;
        let (wave, per_donor) = (number("--wave", 100)?.max(1), number("--per-donor", 50)?.max(1));
        match given.keys().next() {
            Some(unknown) => Err(format!("{unknown} is no option")),
            None => Ok(Self { network, nodes, wave, per_donor }),
        }
    }

    async fn bring_up(self, world: &SimWorld) {
        let donors: Vec<_> = (0..self.nodes.div_ceil(self.per_donor))
            .map(|number| world.donor(&format!("donor-{number}")))
            .collect();
        for donor in &donors {
            content().fill(&donor.store, &shard(0), 1);
        }
        let replicas: Vec<_> =
            (0..self.nodes).map(|number| world.replica(&format!("replica-{number}"))).collect();
        for (number, wave) in replicas.chunks(self.wave).enumerate() {
            let first = number * self.wave;
            let ask = |(n, replica): (usize, &SimNode)| {
                let donor = donors[(first + n) % donors.len()].id.clone();
                let plan = StreamPlan::new(Operation::Bootstrap).request_from(shard(0), [donor]);
                replica.execute(plan).expect("the plan is fine")
            };
            let plans: Vec<_> = wave.iter().enumerate().map(ask).collect();
            for plan in plans {
                let outcome = plan.await;
                assert!(outcome.is_completed(), "{outcome:?}");
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures wall time")]
#[expect(clippy::print_stdout, reason = "what it measures is its output")]
fn main() -> Result<(), String> {
    let fleet = Fleet::from_args(std::env::args().skip(1))?;
    let began = Instant::now();
    let (sent, virtual_time) = Sim::new(fleet.network, 1).run(async |world| {
        fleet.bring_up(&world).await;
        (world.datagrams(), world.now())
    });
    let wall = began.elapsed().as_secs_f64();
    let (cpu, events) = (cpu_secs(), sent.sent as f64);
    println!("{fleet:?}");
    println!("wall {wall:.2} s, CPU {cpu:.2} s, virtual {virtual_time}");
    println!("peak RSS {:.0} MiB", peak_kib() as f64 / 1024.0);
    println!("{events} events, {:.0} a second, {:.0} a CPU second", events / wall, events / cpu);
    println!("{} bytes", sent.bytes);
    Ok(())
}

/// User and system time of this process, which Linux counts in hundredths of a second.
fn cpu_secs() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the process may hold spaces; what follows its bracket does not.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Most memory that this process had resident.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(0)
}
