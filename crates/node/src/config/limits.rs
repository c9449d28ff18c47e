//! What is bounded, as the file says it and as the engine and the transport want it.

use peerstream_engine::EngineConfig;
use peerstream_quic::QuicConfig;
use peerstream_types::ByteCount;
use serde::{Deserialize, Serialize};

use super::{Size, Wait};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// Largest `window` in bytes, per source: `sources_max` serve a shard, and `shards_in_parallel` are received,
/// at a time.
const WINDOW_MAX: u64 = 4 * GIB;
/// Largest `fetch` in bytes: the content of one request is given up as a whole.
const FETCH_MAX: u64 = 256 * MIB;
/// Most `sources_max`: as many replicas as can be compared; each costs a session and a window.
const SOURCES_MAX: u32 = peerstream_select::roster::REPLICAS_MAX as u32;
/// Most `twice_per_mille`: the whole shard.
const TWICE_PER_MILLE_MAX: u32 = 1000;
/// Most bytes under way to one peer.
const PEER_BYTES_MAX: u64 = 64 * GIB;
/// Most bytes that are stored before they are made durable: beyond it a power loss costs hours.
const CHECKPOINT_BYTES_MAX: u64 = 1024 * GIB;
/// Largest window of a connection, and largest buffer of a socket, in bytes: the kernel counts in `int`.
const BUFFER_MAX: u64 = GIB;

/// Limits of the engine. The defaults are those of [`EngineConfig`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Bytes asked for and not yet received, per source of a shard: what a crash costs at most, and the
    /// memory that a source in use needs.
    pub window: Size,
    /// Bytes of one request. Smaller spreads faults and progress finer, larger costs fewer messages.
    pub fetch: Size,
    /// A source that brings nothing for this long is replaced.
    pub no_progress_timeout: Wait,
    /// How long a source may take to offer a shard; it may have to freeze all of it first.
    pub open_timeout: Wait,
    /// How long a source may take to list the next entries; it may have to hash a large one first.
    pub page_timeout: Wait,
    /// How long reaching a peer may take.
    pub connect_timeout: Wait,
    /// How often one chunk is asked of one source before another one is asked.
    pub attempts_per_source: u32,
    /// How often in a row a source is tried without a single chunk coming from it.
    pub opens_per_peer: u32,
    /// Sources that serve one shard at a time; more only if more of them than this have something else.
    pub sources_max: u32,
    /// While less than this is left of a shard, no further source joins.
    pub join_from: Size,
    /// What may be asked of a second source while a slow one still owes it, in thousandths of the shard.
    pub twice_per_mille: u32,
    /// How often a push is offered again after its session was lost.
    pub transfer_attempts: u32,
    /// Shards of one plan that are received at a time.
    pub shards_in_parallel: usize,
    /// Requests of all peers that are answered at a time.
    pub serves_in_parallel: usize,
    /// Bytes that a peer may have under way from here, per session.
    pub peer_bytes_in_flight: Size,
    /// How long a peer may take none of what it asked for before its request is given up.
    pub serve_timeout: Wait,
    /// Bytes of a shard that are stored before they are made durable in the background: what a power
    /// loss costs at most, beside the window.
    pub checkpoint_bytes: Size,
    /// Longest that stored bytes wait for that.
    pub checkpoint_interval: Wait,
    /// Sessions with all peers.
    pub sessions: usize,
    /// Plans that run at a time.
    pub plans: usize,
    /// Ended plans that `status` remembers.
    pub plans_remembered: usize,
    /// Connections that peers may have open.
    pub connections: usize,
    /// How long a shutdown waits for what is under way.
    pub drain_timeout: Wait,
    /// Limits of the transport.
    pub quic: QuicLimits,
}

/// Limits of the transport. The defaults are those of [`QuicConfig`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QuicLimits {
    /// A connection on which nothing was heard for this long is lost: how fast a dead peer is
    /// noticed.
    pub idle_timeout: Wait,
    /// How often a quiet connection is kept alive; less than half of `idle_timeout`.
    pub keep_alive: Wait,
    /// How long a handshake may take.
    pub handshake_timeout: Wait,
    /// Handshakes at once, beyond which dials are refused.
    pub handshakes: usize,
    /// Bytes sent on one bulk connection and not yet acknowledged, on short paths.
    pub send_window: Size,
    /// Up to this it grows on long paths, with bandwidth and round-trip time.
    pub send_window_max: Size,
    /// Largest UDP payload to try, in bytes; 8972 for jumbo frames.
    pub mtu: u16,
    /// UDP payload to start with, before the path is probed.
    pub mtu_initial: u16,
    /// Hand several packets to the kernel in one call. Off costs four times the CPU.
    pub segmentation_offload: bool,
    /// Join what is sent to one peer at a time to up to 64 KiB a call.
    pub join_batches: bool,
    /// Run packets and timers on a thread that does nothing else, and everything else on one per core.
    /// Otherwise one thread does both, which costs a quarter less CPU; files and hashes have theirs
    /// anyway.
    pub own_thread: bool,
    /// Size asked for each of the socket's two kernel buffers.
    pub socket_buffer: Size,
}

impl Limits {
    /// The settings of the engine.
    pub fn engine(&self) -> EngineConfig {
        let mut config = EngineConfig::default();
        config.recovery.window = self.window.0;
        config.recovery.fetch_bytes = self.fetch.0;
        config.recovery.no_progress_timeout = self.no_progress_timeout.0;
        config.recovery.open_timeout = self.open_timeout.0;
        config.recovery.page_timeout = self.page_timeout.0;
        config.recovery.attempts_per_source = self.attempts_per_source;
        config.recovery.opens_per_peer = self.opens_per_peer;
        config.recovery.sources_max = self.sources_max;
        config.recovery.join_from = self.join_from.0;
        config.recovery.twice_per_mille = self.twice_per_mille;
        config.connect_timeout = self.connect_timeout.0;
        config.transfer_attempts = self.transfer_attempts;
        config.shards_in_parallel = self.shards_in_parallel;
        config.serves_in_parallel = self.serves_in_parallel;
        config.peer_bytes_in_flight = self.peer_bytes_in_flight.0;
        config.serve_timeout = self.serve_timeout.0;
        config.checkpoint_bytes = self.checkpoint_bytes.0;
        config.checkpoint_interval = self.checkpoint_interval.0;
        config.sessions_max = self.sessions;
        config.plans_max = self.plans;
        config.plans_remembered = self.plans_remembered;
        config.connections_max = self.connections;
        config.drain_timeout = self.drain_timeout.0;
        config
    }

    /// The settings of the transport.
    pub fn transport(&self) -> QuicConfig {
        let mut config = QuicConfig {
            idle_timeout: self.quic.idle_timeout.0,
            keep_alive: self.quic.keep_alive.0,
            handshake_timeout: self.quic.handshake_timeout.0,
            handshakes_max: self.quic.handshakes,
            mtu_max: self.quic.mtu,
            mtu_initial: self.quic.mtu_initial,
            join_batches: self.quic.join_batches,
            own_thread: self.quic.own_thread,
            segmentation_offload: self.quic.segmentation_offload,
            socket_buffer: self.quic.socket_buffer.0,
            ..QuicConfig::default()
        };
        config.bulk.send_window = self.quic.send_window.0;
        config.bulk.send_window_max = self.quic.send_window_max.0;
        config
    }

    /// The first number that cannot be meant, with its name and the most that it may be.
    pub(super) fn too_many(&self) -> Option<(&'static str, u32, u32)> {
        let numbers = [
            ("sources_max", self.sources_max, SOURCES_MAX),
            ("twice_per_mille", self.twice_per_mille, TWICE_PER_MILLE_MAX),
        ];
        numbers.into_iter().find(|(_, number, most)| number > most)
    }

    /// The first size that cannot be meant, with its name and the most that it may be.
    pub(super) fn too_large(&self) -> Option<(&'static str, Size, Size)> {
        let sizes = [
            ("window", self.window, WINDOW_MAX),
            ("fetch", self.fetch, FETCH_MAX),
            ("peer_bytes_in_flight", self.peer_bytes_in_flight, PEER_BYTES_MAX),
            ("checkpoint_bytes", self.checkpoint_bytes, CHECKPOINT_BYTES_MAX),
            ("quic.send_window", self.quic.send_window, BUFFER_MAX),
            ("quic.send_window_max", self.quic.send_window_max, BUFFER_MAX),
            ("quic.socket_buffer", self.quic.socket_buffer, BUFFER_MAX),
        ];
        let too_large = sizes.into_iter().find(|(_, size, most)| size.0.0 > *most);
        too_large.map(|(name, size, most)| (name, size, Size(ByteCount(most))))
    }

    /// The name of the first limit that is zero and may not be.
    pub(super) fn zero(&self) -> Option<&'static str> {
        let zero = [
            ("window", self.window.0.0 == 0),
            ("fetch", self.fetch.0.0 == 0),
            ("no_progress_timeout", self.no_progress_timeout.0.is_zero()),
            ("open_timeout", self.open_timeout.0.is_zero()),
            ("page_timeout", self.page_timeout.0.is_zero()),
            ("connect_timeout", self.connect_timeout.0.is_zero()),
            ("attempts_per_source", self.attempts_per_source == 0),
            ("opens_per_peer", self.opens_per_peer == 0),
            ("sources_max", self.sources_max == 0),
            ("transfer_attempts", self.transfer_attempts == 0),
            ("shards_in_parallel", self.shards_in_parallel == 0),
            ("serves_in_parallel", self.serves_in_parallel == 0),
            ("peer_bytes_in_flight", self.peer_bytes_in_flight.0.0 == 0),
            ("serve_timeout", self.serve_timeout.0.is_zero()),
            ("checkpoint_bytes", self.checkpoint_bytes.0.0 == 0),
            ("checkpoint_interval", self.checkpoint_interval.0.is_zero()),
            ("sessions", self.sessions == 0),
            ("plans", self.plans == 0),
            ("connections", self.connections == 0),
        ];
        zero.into_iter().find(|(_, is_zero)| *is_zero).map(|(name, _)| name)
    }
}

impl Default for Limits {
    fn default() -> Self {
        let engine = EngineConfig::default();
        let recovery = &engine.recovery;
        Self {
            window: Size(recovery.window),
            fetch: Size(recovery.fetch_bytes),
            no_progress_timeout: Wait(recovery.no_progress_timeout),
            open_timeout: Wait(recovery.open_timeout),
            page_timeout: Wait(recovery.page_timeout),
            connect_timeout: Wait(engine.connect_timeout),
            attempts_per_source: recovery.attempts_per_source,
            opens_per_peer: recovery.opens_per_peer,
            sources_max: recovery.sources_max,
            join_from: Size(recovery.join_from),
            twice_per_mille: recovery.twice_per_mille,
            transfer_attempts: engine.transfer_attempts,
            shards_in_parallel: engine.shards_in_parallel,
            serves_in_parallel: engine.serves_in_parallel,
            peer_bytes_in_flight: Size(engine.peer_bytes_in_flight),
            serve_timeout: Wait(engine.serve_timeout),
            checkpoint_bytes: Size(engine.checkpoint_bytes),
            checkpoint_interval: Wait(engine.checkpoint_interval),
            sessions: engine.sessions_max,
            plans: engine.plans_max,
            plans_remembered: engine.plans_remembered,
            connections: engine.connections_max,
            drain_timeout: Wait(engine.drain_timeout),
            quic: QuicLimits::default(),
        }
    }
}

impl Default for QuicLimits {
    fn default() -> Self {
        let quic = QuicConfig::default();
        Self {
            idle_timeout: Wait(quic.idle_timeout),
            keep_alive: Wait(quic.keep_alive),
            handshake_timeout: Wait(quic.handshake_timeout),
            handshakes: quic.handshakes_max,
            send_window: Size(quic.bulk.send_window),
            send_window_max: Size(quic.bulk.send_window_max),
            mtu: quic.mtu_max,
            mtu_initial: quic.mtu_initial,
            join_batches: quic.join_batches,
            own_thread: false,
            segmentation_offload: quic.segmentation_offload,
            socket_buffer: Size(quic.socket_buffer),
        }
    }
}
