//! Settings of a session, and the limits that are not settings.

use std::time::Duration;

/// Most control messages that wait to be sent. Room for the pages of the largest Prepare and an
/// answer to every request that may be under way; the session's last words have room beyond it.
pub const TRANSMIT_MAX: usize = 1024;
/// Most runs of acknowledged ordinals and chunks that one session remembers, so that each part is
/// reported once: about 4 MiB. What would need another run is not reported; Release frees it.
pub const ACK_RUNS_MAX: usize = 65_536;

/// Settings of a session. Plain values, the same at both ends unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// A `KeepAlive` is sent after this long without another message. Both ends need the same value:
    /// a peer that says nothing for twice as long is taken for dead. Zero turns both off. Default
    /// 300 s, so a dead peer is noticed within 10 minutes even if the connection does not notice.
    pub keep_alive: Duration,
    /// Longest time from the start of the session until the follower has taken it. Default 30 s.
    pub handshake_timeout: Duration,
    /// Longest time from there until all offers are on the table. Sources flush and take snapshots in
    /// it. Default 600 s.
    pub prepare_timeout: Duration,
    /// Longest wait for the peer's Complete after this end's own. Default 60 s.
    pub complete_timeout: Duration,
    /// Most own requests without an end at any time, if the peer does not allow less; at least 1.
    /// Default 256.
    pub requests_in_flight_max: u32,
    /// Most requests of the peer under way at any time; those beyond are answered with Busy. Used by
    /// the initiator only: a follower says its limit in `InitAck`. Default 256.
    pub requests_served_max: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            keep_alive: Duration::from_secs(300),
            handshake_timeout: Duration::from_secs(30),
            prepare_timeout: Duration::from_secs(600),
            complete_timeout: Duration::from_secs(60),
            requests_in_flight_max: 256,
            requests_served_max: 256,
        }
    }
}

impl Config {
    /// How long a peer may say nothing before it is taken for dead: twice the keep-alive, or for ever
    /// (`None`) if that is off.
    pub fn silence(&self) -> Option<Duration> {
        (!self.keep_alive.is_zero()).then(|| self.keep_alive.saturating_mul(2))
    }
}
