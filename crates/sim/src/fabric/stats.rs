//! What crossed the network, or did not.

use std::net::SocketAddr;
use std::time::Duration;

use crate::net::Way;

/// What crossed the network, or did not. Over QUIC these are datagrams; in memory they are writes to
/// streams, of which none is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FabricStats {
    /// Datagrams sent.
    pub sent: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Datagrams lost at random.
    pub lost: u64,
    /// Datagrams that arrived twice.
    pub duplicated: u64,
    /// Datagrams that arrived with a bit flipped.
    pub corrupted: u64,
    /// Datagrams that were larger than their link takes.
    pub too_large: u64,
    /// Datagrams that found a queue full.
    pub overflowed: u64,
    /// Datagrams to and from nowhere: cut links, crashed nodes.
    pub dropped: u64,
    /// Time, ends and length of every datagram sent, hashed: equal runs have equal hashes. Content
    /// is left out, because keys and so ciphertexts are never the same.
    pub hash: u64,
}

impl FabricStats {
    /// Something was sent.
    pub(crate) fn count(&mut self, at: Duration, way: Way, len: usize) {
        self.sent += 1;
        self.bytes += len as u64;
        for word in [at.as_nanos() as u64, number(way.0), number(way.1), len as u64] {
            self.hash = (self.hash ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(5);
        }
    }
}

/// An address as a number, for hashing.
fn number(addr: SocketAddr) -> u64 {
    let ip = match addr.ip() {
        std::net::IpAddr::V4(ip) => u128::from(ip.to_bits()),
        std::net::IpAddr::V6(ip) => ip.to_bits(),
    };
    (ip as u64) << 16 ^ u64::from(addr.port())
}
