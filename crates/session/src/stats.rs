//! Counters of a session.

use peerstream_types::ByteCount;

/// Counters of a session, from its start. Offered, planned, moved and wasted bytes are separate: none
/// is derived from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Bytes in the snapshots that this end offered, as far as their headers say.
    pub offered: ByteCount,
    /// Bytes in the snapshots that the peer offered, as far as their headers say.
    pub offered_by_peer: ByteCount,
    /// Bytes that this end decided to receive.
    pub planned: ByteCount,
    /// Bytes sent.
    pub sent: ByteCount,
    /// Bytes received, verified and stored.
    pub stored: ByteCount,
    /// Bytes received and thrown away: late, duplicate or wrong.
    pub wasted: ByteCount,
    /// Control messages queued for the peer.
    pub messages_sent: u64,
    /// Control messages of the peer, whatever became of them.
    pub messages_received: u64,
    /// Messages that came after the end (row C15).
    pub messages_refused: u64,
    /// Acknowledgements and releases of what was acknowledged, released or never offered, second
    /// answers to Init (rows C11 and C17d).
    pub duplicates_ignored: u64,
    /// Failures of requests that were not outstanding (row F-35).
    pub answers_unmatched: u64,
    /// Parts of acknowledgements that were not reported, because there were more runs of them than
    /// are remembered.
    pub acks_forgotten: u64,
    /// Messages that this version may ignore: Have, and Release of a part of an offer.
    pub hints_ignored: u64,
    /// Requests sent.
    pub requests_sent: u64,
    /// Requests of the peer that were handed to the driver.
    pub requests_taken: u64,
    /// Requests of the peer that were answered with a failure at once.
    pub requests_rejected: u64,
}
