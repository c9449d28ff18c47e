//! Settings of the transport, and the limits that keep a connection from hanging or dying.

use std::time::Duration;

use peerstream_transport::Lane;
use peerstream_types::ByteCount;

/// Largest stream window. QUIC below us ends a connection that has more than 1,024 gaps in one
/// stream; 1,024 gaps of two 1,200-byte packets each are 2,457,600 bytes, so a window of at most
/// that can never reach them. Bandwidth beyond it comes from more streams, not from larger windows.
pub const STREAM_WINDOW_MAX: ByteCount = ByteCount(2 * 1_024 * 1_200);
/// Smallest stream window: one write of the engine (64 KiB).
pub const STREAM_WINDOW_MIN: ByteCount = ByteCount::kib(64);
/// Most streams of one kind that a peer may have open on one connection: enough for every session
/// and fetch between two nodes, and a bound on the connection window that goes with them.
pub const STREAMS_MAX: u32 = 1_024;
/// Unread bytes of one accepted connection, unless it has more streams than fit with
/// [`STREAM_WINDOW_MIN`] each. Which lane it is, its dialler says only later, and the window of a
/// stream cannot be changed then: with the default lanes, 88 streams get 512 KiB each.
pub const ACCEPTED_UNREAD: ByteCount = ByteCount::mib(44);
/// Smallest UDP payload that QUIC must be able to send (RFC 9000, section 14).
pub const MTU_MIN: u16 = 1_200;
/// Largest UDP payload: jumbo frames of 9,000 bytes less the IP and UDP headers.
pub const MTU_MAX: u16 = 8_972;
/// Most handshakes at once: each costs signatures and some 20 KiB until it is done.
pub const HANDSHAKES_MAX: usize = 4_096;
/// The longest wait for anything in this configuration: beyond a day it is a typing error.
const WAIT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Flow control of the connections of one [`Lane`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneConfig {
    /// Bytes that the peer may send on one stream before they are read here, from
    /// [`STREAM_WINDOW_MIN`] to [`STREAM_WINDOW_MAX`]. Bounds a stream to this much per round trip.
    pub stream_window: ByteCount,
    /// Bytes that the peer may send on all streams of a connection before they are read here: the
    /// memory that one peer can make this node hold. At least `stream_window` times all streams
    /// that the peer may have open ([`LaneConfig::connection_window_min`]): with less, streams
    /// that nobody reads yet block the one that is being read, and the connection hangs. It never
    /// changes: what is really unread, the peer's send window and the reader's pace decide.
    pub connection_window: ByteCount,
    /// Bytes written here and not yet acknowledged by the peer, over all streams of a connection:
    /// bounds a connection to this much per round trip. This is where it starts, and where it stays
    /// on short paths: more costs memory, and speed, because the bytes fall out of the processor's
    /// cache.
    pub send_window: ByteCount,
    /// Where the send window ends on long paths: it follows twice the bandwidth times the shortest
    /// round-trip time that were measured, from `send_window` up to this. A path that needs more
    /// than this gets this much per round trip. Below `send_window`, the window never changes.
    pub send_window_max: ByteCount,
    /// Streams with both directions that the peer may have open, 1 to [`STREAMS_MAX`].
    pub streams_bi: u32,
    /// Streams towards this node that the peer may have open, 1 to [`STREAMS_MAX`].
    pub streams_uni: u32,
}

impl LaneConfig {
    /// Control: many small streams. 128 KiB a stream; 64 both ways, 4 one way; 8.5 MiB at most.
    pub fn control() -> Self {
        Self::sized(ByteCount::kib(128), ByteCount::mib(1), 64, 4)
    }

    /// Bulk: few large streams. 1 MiB a stream; 4 both ways, 24 one way; 28 MiB at most. Sends 2 MiB
    /// per round trip, and up to 16 MiB on long paths.
    pub fn bulk() -> Self {
        let lane = Self::sized(ByteCount::mib(1), ByteCount::mib(2), 4, 24);
        Self { send_window_max: ByteCount::mib(16), ..lane }
    }

    /// A lane with the smallest connection window that fits its streams, and a fixed send window.
    pub fn sized(
        stream_window: ByteCount,
        send_window: ByteCount,
        streams_bi: u32,
        streams_uni: u32,
    ) -> Self {
        let (connection_window, send_window_max) = (ByteCount(0), send_window);
        let mut lane =
            Self { stream_window, connection_window, send_window, send_window_max, streams_bi, streams_uni };
        lane.connection_window = lane.connection_window_min();
        lane
    }

    /// The smallest connection window that cannot hang: every stream full and unread.
    pub fn connection_window_min(&self) -> ByteCount {
        let streams = u64::from(self.streams_bi) + u64::from(self.streams_uni);
        ByteCount(self.stream_window.0.saturating_mul(streams))
    }

    /// What an accepted connection gets, which may turn out to be of either lane: the streams of
    /// both, and smaller stream windows, so that they fit [`ACCEPTED_UNREAD`].
    fn covering(&self, other: &Self) -> Self {
        let mut both = Self::sized(
            self.stream_window.max(other.stream_window),
            self.send_window.max(other.send_window),
            self.streams_bi.max(other.streams_bi),
            self.streams_uni.max(other.streams_uni),
        );
        let streams = u64::from(both.streams_bi) + u64::from(both.streams_uni);
        let share = ByteCount(ACCEPTED_UNREAD.0 / streams.max(1)).max(STREAM_WINDOW_MIN);
        both.stream_window = both.stream_window.min(share);
        both.connection_window = both.connection_window_min();
        both.send_window_max = self.send_window_max.max(other.send_window_max);
        both
    }

    fn validate(&self, lane: Lane) -> Result<(), ConfigError> {
        let (window, need) = (self.stream_window, self.connection_window_min());
        if !(STREAM_WINDOW_MIN..=STREAM_WINDOW_MAX).contains(&window) {
            return Err(ConfigError::StreamWindow { lane, window });
        }
        let streams = 1..=STREAMS_MAX;
        if !streams.contains(&self.streams_bi) || !streams.contains(&self.streams_uni) {
            return Err(ConfigError::Streams { lane });
        }
        if self.connection_window < need {
            return Err(ConfigError::ConnectionWindow { lane, window: self.connection_window, need });
        }
        if self.send_window < STREAM_WINDOW_MIN {
            return Err(ConfigError::SendWindow { lane, window: self.send_window });
        }
        Ok(())
    }
}

/// Settings of a [`QuicTransport`](crate::QuicTransport). The default suits a data centre.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuicConfig {
    /// Connections that this node dials as [`Lane::Control`]. Default [`LaneConfig::control`].
    pub control: LaneConfig,
    /// Connections that this node dials as [`Lane::Bulk`]. Default [`LaneConfig::bulk`].
    /// Connections that this node accepts get the streams and the send window of the larger lane,
    /// and [`ACCEPTED_UNREAD`] bytes of unread data at most.
    pub bulk: LaneConfig,
    /// A connection on which nothing was heard for this long is lost; the smaller of both ends'
    /// values counts. Default 30 s. Less finds dead peers sooner, and cuts off peers that pause.
    pub idle_timeout: Duration,
    /// How often a quiet connection is kept alive; less than half of `idle_timeout`, so that one
    /// lost packet does not end it. Default 5 s. Costs a packet each way per connection.
    pub keep_alive: Duration,
    /// How long a handshake may take, dialled or accepted. Default 10 s.
    pub handshake_timeout: Duration,
    /// Accepted handshakes at once, 1 to [`HANDSHAKES_MAX`]; connections that wait for
    /// [`accept`](peerstream_transport::Transport::accept) count as well. Beyond it dials are
    /// refused; beyond half of it they must first prove their address, at the cost of a round
    /// trip. Default 256.
    pub handshakes_max: usize,
    /// Connections at once, dialled and accepted, after which dials by others are refused. Default
    /// 4,096: a control and a bulk connection, each way, with a thousand peers.
    pub connections_max: usize,
    /// Largest UDP payload to try, in bytes, [`MTU_MIN`] to [`MTU_MAX`]; the path is probed for it.
    /// Default 1,452 (Ethernet). Jumbo frames (8,972) save half of the CPU or more. The smaller of
    /// both ends' values counts. Receive buffers take 2 MiB whatever it is.
    pub mtu_max: u16,
    /// UDP payload to start with, before the path is probed: [`MTU_MIN`] to `mtu_max`. Default
    /// [`MTU_MIN`], which every path takes. For operators who know that all paths between all nodes
    /// take more and that all nodes have an `mtu_max` of at least this: it saves some round trips of
    /// probing per connection. Where it is wrong, handshakes take seconds or fail.
    pub mtu_initial: u16,
    /// Hand several packets to the kernel in one call (GSO). Default true: without it every byte
    /// costs four times the CPU. For kernels and drivers that get it wrong.
    pub segmentation_offload: bool,
    /// Join what is sent to one peer at a time to up to 64 KiB a call. Default true: saves a fifth of
    /// the CPU. For networks that lose packets when 40 of them come at once.
    pub join_batches: bool,
    /// Run sockets, timers and packets on a thread of their own, away from the runtime that the
    /// transport is used on. Default true: joined batches need a runtime of one thread. Where the
    /// caller's runtime is one (`new_current_thread`) and hashes and files have a pool, leave it to
    /// that: no byte has to wake another thread, which saves a quarter of the CPU on two cores. A
    /// transport on a socket of the caller's never does.
    pub own_thread: bool,
    /// Size asked for each of the socket's two kernel buffers. Default 4 MiB; best effort, the
    /// kernel clamps it (`net.core.rmem_max`). Small buffers lose packets in bursts.
    pub socket_buffer: ByteCount,
}

impl Default for QuicConfig {
    fn default() -> Self {
        Self {
            control: LaneConfig::control(),
            bulk: LaneConfig::bulk(),
            idle_timeout: Duration::from_secs(30),
            keep_alive: Duration::from_secs(5),
            handshake_timeout: Duration::from_secs(10),
            handshakes_max: 256,
            connections_max: 4_096,
            mtu_max: 1_452,
            mtu_initial: MTU_MIN,
            segmentation_offload: true,
            join_batches: true,
            own_thread: true,
            socket_buffer: ByteCount::mib(4),
        }
    }
}

impl QuicConfig {
    /// Checks everything that would hang, starve or kill connections later.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the setting, its value and what is allowed.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.control.validate(Lane::Control)?;
        self.bulk.validate(Lane::Bulk)?;
        let waits = [
            ("idle timeout", self.idle_timeout),
            ("keep-alive interval", self.keep_alive),
            ("handshake timeout", self.handshake_timeout),
        ];
        for (what, wait) in waits {
            if wait.is_zero() || wait > WAIT_MAX {
                return Err(ConfigError::Wait { what, wait });
            }
        }
        if self.keep_alive * 2 >= self.idle_timeout {
            return Err(ConfigError::KeepAlive { keep_alive: self.keep_alive, idle: self.idle_timeout });
        }
        if !(1..=HANDSHAKES_MAX).contains(&self.handshakes_max) {
            return Err(ConfigError::Handshakes { handshakes: self.handshakes_max });
        }
        if self.connections_max == 0 {
            return Err(ConfigError::NoConnections);
        }
        if !(MTU_MIN..=MTU_MAX).contains(&self.mtu_max) {
            return Err(ConfigError::Mtu { mtu: self.mtu_max });
        }
        if !(MTU_MIN..=self.mtu_max).contains(&self.mtu_initial) {
            return Err(ConfigError::MtuInitial { initial: self.mtu_initial, max: self.mtu_max });
        }
        Ok(())
    }

    /// Flow control of a connection that this node accepts.
    pub(crate) fn accepted(&self) -> LaneConfig {
        self.control.covering(&self.bulk)
    }
}

/// A setting that would make connections hang, starve or die. Nothing was started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Outside [`STREAM_WINDOW_MIN`]..=[`STREAM_WINDOW_MAX`].
    #[error(
        "{lane:?} stream window is {window}, allowed are {STREAM_WINDOW_MIN} to {STREAM_WINDOW_MAX}: beyond \
         that, reordering can end the connection; use more streams"
    )]
    StreamWindow {
        /// The lane.
        lane: Lane,
        /// The value.
        window: ByteCount,
    },
    /// Less than [`LaneConfig::connection_window_min`].
    #[error(
        "{lane:?} connection window is {window}, but its streams may hold {need} unread: streams that wait \
         would block the one being read"
    )]
    ConnectionWindow {
        /// The lane.
        lane: Lane,
        /// The value.
        window: ByteCount,
        /// The least that is allowed.
        need: ByteCount,
    },
    /// Less than one write.
    #[error("{lane:?} send window is {window}, at least {STREAM_WINDOW_MIN} is needed")]
    SendWindow {
        /// The lane.
        lane: Lane,
        /// The value.
        window: ByteCount,
    },
    /// Outside 1..=[`STREAMS_MAX`].
    #[error("{lane:?} needs 1 to {STREAMS_MAX} streams of each kind")]
    Streams {
        /// The lane.
        lane: Lane,
    },
    /// Zero, or longer than a day.
    #[error("{what} is {wait:?}, allowed is anything above zero and up to a day")]
    Wait {
        /// The setting.
        what: &'static str,
        /// The value.
        wait: Duration,
    },
    /// Too long for the idle timeout.
    #[error("keep-alive every {keep_alive:?} is too seldom for an idle timeout of {idle:?}: at most half")]
    KeepAlive {
        /// The interval.
        keep_alive: Duration,
        /// The idle timeout.
        idle: Duration,
    },
    /// Outside 1..=[`HANDSHAKES_MAX`].
    #[error("{handshakes} handshakes at once, allowed are 1 to {HANDSHAKES_MAX}")]
    Handshakes {
        /// The value.
        handshakes: usize,
    },
    /// A limit of zero.
    #[error("the limit on connections is zero, so nobody could connect")]
    NoConnections,
    /// Outside [`MTU_MIN`]..=[`MTU_MAX`].
    #[error("UDP payloads of {mtu} bytes, allowed are {MTU_MIN} to {MTU_MAX}")]
    Mtu {
        /// The value.
        mtu: u16,
    },
    /// Outside [`MTU_MIN`]..=`mtu_max`.
    #[error("UDP payloads of {initial} bytes to start with, allowed are {MTU_MIN} to the largest, {max}")]
    MtuInitial {
        /// The value.
        initial: u16,
        /// The largest that is tried.
        max: u16,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut QuicConfig)) -> ConfigError {
        let mut config = QuicConfig::default();
        change(&mut config);
        config.validate().expect_err("the setting is harmful")
    }

    #[test]
    fn defaults_and_what_accepted_connections_get_are_valid() {
        let config = QuicConfig::default();
        config.validate().unwrap();
        let accepted = config.accepted();
        accepted.validate(Lane::Bulk).unwrap();
        assert_eq!((accepted.streams_bi, accepted.streams_uni), (64, 24));
        assert_eq!(accepted.connection_window, ACCEPTED_UNREAD);
        assert_eq!(accepted.send_window_max, ByteCount::mib(16));
    }

    /// However many streams a lane has, an accepted connection keeps the rules.
    #[test]
    fn what_accepted_connections_get_stays_valid_with_many_streams() {
        let many = LaneConfig::sized(STREAM_WINDOW_MAX, ByteCount::mib(2), STREAMS_MAX, STREAMS_MAX);
        let config = QuicConfig { bulk: many, ..QuicConfig::default() };
        config.validate().unwrap();
        config.accepted().validate(Lane::Bulk).unwrap();
        assert_eq!(config.accepted().stream_window, STREAM_WINDOW_MIN);
    }

    /// More than 1,024 gaps in a stream end the connection with an internal error.
    #[test]
    fn a_stream_window_that_reordering_can_kill_is_refused() {
        let window = STREAM_WINDOW_MAX + ByteCount(1);
        let error = refused(|c| c.bulk = LaneConfig::sized(window, ByteCount::mib(2), 4, 24));
        assert_eq!(error, ConfigError::StreamWindow { lane: Lane::Bulk, window });
    }

    /// A connection window below the sum of what unread streams may hold is a deadlock.
    #[test]
    fn a_connection_window_that_unread_streams_can_fill_is_refused() {
        let (window, need) = (ByteCount::mib(28), ByteCount::mib(29));
        let error = refused(|c| c.bulk.streams_uni = 25);
        assert_eq!(error, ConfigError::ConnectionWindow { lane: Lane::Bulk, window, need });
    }

    #[test]
    fn a_keep_alive_that_misses_the_idle_timeout_is_refused() {
        let idle = Duration::from_secs(10);
        let error = refused(|c| c.idle_timeout = idle);
        assert_eq!(error, ConfigError::KeepAlive { keep_alive: Duration::from_secs(5), idle });
    }

    #[test]
    fn limits_that_let_nothing_through_are_refused() {
        assert_eq!(refused(|c| c.handshakes_max = 0), ConfigError::Handshakes { handshakes: 0 });
        assert_eq!(refused(|c| c.connections_max = 0), ConfigError::NoConnections);
        assert_eq!(refused(|c| c.control.streams_bi = 0), ConfigError::Streams { lane: Lane::Control });
        assert_eq!(refused(|c| c.mtu_max = 1_000), ConfigError::Mtu { mtu: 1_000 });
        assert_eq!(refused(|c| c.mtu_max = 9_000), ConfigError::Mtu { mtu: 9_000 });
        let (initial, max) = (8_972, 1_452);
        assert_eq!(refused(|c| c.mtu_initial = initial), ConfigError::MtuInitial { initial, max });
        let window = ByteCount(0);
        let error = refused(|c| c.control.send_window = window);
        assert_eq!(error, ConfigError::SendWindow { lane: Lane::Control, window });
    }
}
