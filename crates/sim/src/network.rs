//! Which network carries the bytes, and what its links are like.

use std::fmt;
use std::time::Duration;

use peerstream_types::{ByteCount, ByteRate};

/// The network below the engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Streams in memory: no latency, no loss, faults are seen at once. Cheap.
    Memory,
    /// Real QUIC with mutual TLS over simulated links of datagrams.
    Quic,
}

impl Network {
    /// Every network, for scenarios that hold on each.
    pub const ALL: [Self; 2] = [Self::Memory, Self::Quic];
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Quic => "quic",
        })
    }
}

/// One direction of a path between two nodes, of [`Network::Quic`] only. Datagrams keep their order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinkSpec {
    /// How long a datagram is under way once it has left. Timers are exact to a millisecond.
    pub latency: Duration,
    /// How fast datagrams leave.
    pub rate: ByteRate,
    /// Bytes that may wait to leave; what finds no room is lost.
    pub queue: ByteCount,
    /// Datagrams lost at random, per million.
    pub loss_ppm: u32,
}

impl Default for LinkSpec {
    /// A gigabit in one building: 1 ms each way, a queue of 1 MiB, no loss.
    fn default() -> Self {
        Self {
            latency: Duration::from_millis(1),
            rate: ByteRate::per_sec(125_000_000),
            queue: ByteCount::mib(1),
            loss_ppm: 0,
        }
    }
}

impl LinkSpec {
    /// How long `bytes` take to leave.
    pub(crate) fn time_to_leave(&self, bytes: usize) -> Duration {
        Duration::from_secs_f64(bytes as f64 / self.rate.bytes_per_sec().max(1) as f64)
    }
}
