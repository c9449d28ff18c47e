//! Which network carries the bytes, and what its links are like.

use std::fmt;
use std::time::Duration;

use peerstream_types::{ByteCount, ByteRate};
use serde::{Deserialize, Serialize};

/// A rate that holds nothing up.
pub const UNLIMITED: ByteRate = ByteRate::per_sec(u64::MAX);

/// Largest payload of a UDP datagram on Ethernet over IPv4.
const MTU_ETHERNET: u16 = 1_472;

/// The network below the engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// Streams in memory: nothing is lost, and cuts and crashes are seen at once. Cheap, and without
    /// delay unless its links are given one.
    Memory,
    /// Real QUIC with mutual TLS over simulated links of datagrams.
    Quic,
}

impl Network {
    /// Every network, for scenarios that hold on each.
    pub const ALL: [Self; 2] = [Self::Memory, Self::Quic];

    /// What its links are like unless a run says otherwise: [`LinkSpec::instant`] in memory, the
    /// default of [`LinkSpec`] over QUIC.
    pub fn link(self) -> LinkSpec {
        match self {
            Self::Memory => LinkSpec::instant(),
            Self::Quic => LinkSpec::default(),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Quic => "quic",
        })
    }
}

/// One direction of a path between two nodes. What goes through it keeps its order. Timers are exact
/// to a millisecond.
///
/// On [`Network::Memory`] streams go through it: they wait where the queue is full, and what is for
/// datagrams only has no meaning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinkSpec {
    /// How long bytes are under way once they have left.
    pub latency: Duration,
    /// How fast bytes leave.
    pub rate: ByteRate,
    /// Bytes that may wait to leave; datagrams that find no room are lost.
    pub queue: ByteCount,
    /// Datagrams lost at random, per million.
    pub loss_ppm: u32,
    /// Datagrams that arrive twice, per million.
    pub duplicate_ppm: u32,
    /// Datagrams that arrive with a bit flipped, per million.
    pub corrupt_ppm: u32,
    /// Largest datagram in bytes; larger ones vanish. QUIC needs 1,200.
    pub mtu: u16,
}

impl Default for LinkSpec {
    /// A gigabit in one building: 1 ms each way, a queue of 1 MiB, nothing goes wrong.
    fn default() -> Self {
        Self {
            latency: Duration::from_millis(1),
            rate: ByteRate::per_sec(125_000_000),
            queue: ByteCount::mib(1),
            loss_ppm: 0,
            duplicate_ppm: 0,
            corrupt_ppm: 0,
            mtu: MTU_ETHERNET,
        }
    }
}

impl LinkSpec {
    /// No delay, and any rate.
    pub fn instant() -> Self {
        Self { latency: Duration::ZERO, rate: UNLIMITED, ..Self::default() }
    }

    /// Whether nothing waits in it.
    pub(crate) fn is_instant(&self) -> bool {
        self.latency.is_zero() && self.rate == UNLIMITED
    }

    /// How long a full queue takes to leave.
    pub(crate) fn time_of_queue(&self) -> Duration {
        time_to_leave(self.rate, self.queue)
    }
}

impl fmt::Display for LinkSpec {
    /// What an operator would say: `latency 1ms, rate 119 MiB/s, queue 1.00 MiB, mtu 1472, loss 20000 ppm`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { latency, rate, queue, mtu, .. } = self;
        match *rate == UNLIMITED {
            true => write!(f, "latency {latency:?}, any rate, mtu {mtu}")?,
            false => write!(f, "latency {latency:?}, rate {rate}, queue {queue}, mtu {mtu}")?,
        }
        let odds = [("loss", self.loss_ppm), ("twice", self.duplicate_ppm), ("corrupt", self.corrupt_ppm)];
        odds.iter().filter(|(_, ppm)| *ppm > 0).try_for_each(|(what, ppm)| write!(f, ", {what} {ppm} ppm"))
    }
}

/// How long `bytes` take at a rate. A rate of nothing counts as a byte per second, so that there is an
/// answer.
pub(crate) fn time_to_leave(rate: ByteRate, bytes: ByteCount) -> Duration {
    rate.max(ByteRate::per_sec(1)).time_for(bytes).unwrap_or(Duration::MAX)
}
