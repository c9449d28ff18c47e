//! A network in memory: many nodes in one process, deterministic, without a runtime or a clock.
//!
//! [`MemoryNetwork::node`] gives a [`MemoryTransport`] with a proven identity at an address. Bytes
//! move when the two ends are polled and never by themselves, and every table is walked in a fixed
//! order, so a run on a deterministic executor repeats exactly.
//!
//! Faults: [`MemoryNetwork::crash`] kills a node, [`MemoryNetwork::cut`] parts two of them. Both
//! take effect at once: connections fail instead of stalling, because without a clock nobody could
//! notice a stall.
//!
//! Where QUIC leaves room, this transport takes the harsher reading, so that code which runs here
//! runs there: a reset, a stop and a close throw away what was not read yet, and
//! [`SendStream::poll_stopped`](crate::SendStream::poll_stopped) waits until the peer has *read*
//! everything.
//!
//! # Map
//!
//! | file | holds |
//! |---|---|
//! | `network` | [`MemoryNetwork`]: addresses, cuts, crashes |
//! | `node` | one node: what it has accepted and not handed over, its links |
//! | `transport` | [`MemoryTransport`]: dial, authenticate, accept |
//! | `connection`, `halves` | what the traits are implemented on |
//! | `link`, `pipe` | the state of one connection, of one direction of a stream |
//! | `delivery` | the only place where bytes cross from one end to the other |
//! | `guarded`, `waiters` | one lock per link or node, wake-ups after it is released |

mod connection;
mod delivery;
mod guarded;
mod halves;
mod link;
mod network;
mod node;
mod pipe;
mod transport;
mod waiters;

pub use network::MemoryNetwork;
pub use transport::MemoryTransport;

/// How much a [`MemoryNetwork`] holds back before it pushes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryLimits {
    /// Bytes that one direction of a stream holds before its writer waits. At least 1; default
    /// 256 KiB, one chunk.
    pub stream_window: usize,
    /// Streams that one end of a connection may have open at once, counted apart for streams with
    /// one and with two directions. At least 1; default 256.
    pub open_streams_max: u32,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self { stream_window: 256 * 1024, open_streams_max: 256 }
    }
}

#[cfg(test)]
mod tests;
