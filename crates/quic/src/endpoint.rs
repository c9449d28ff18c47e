//! Our settings in QUIC's words, and everything that a repeatable run must close.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use peerstream_transport::Lane;
use peerstream_types::WallClock;
use quinn::congestion::CubicConfig;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{
    ConnectionId, ConnectionIdGenerator, EndpointConfig, MtuDiscoveryConfig, NoneTokenStore, TimeSource,
    TransportConfig, ValidationTokenConfig, VarInt,
};
use quinn_proto::HashedConnectionIdGenerator;

use crate::config::{LaneConfig, QuicConfig};
use crate::credentials::Credentials;

/// First congestion window in packets (RFC 9002, section 7.2). It follows the packet size: a window
/// below one packet would never send anything.
const INITIAL_WINDOW_PACKETS: u64 = 10;
/// Bytes of packets buffered for one dial that is not taken yet: a handshake sends no more.
const INCOMING_BUFFER: u64 = 64 * 1024;
/// Length of our connection ids in bytes.
const CID_LEN: usize = 8;

/// Closes the sources of chance in QUIC, so that a simulated run repeats: the same seed and the
/// same events give the same packets at the same times (their encrypted bytes differ).
///
/// Give every endpoint of a simulation its own seed. Never use this on a real network: connection
/// ids become predictable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Determinism {
    /// The seed.
    pub seed: u64,
}

/// The parts of QUIC's configuration that do not depend on certificates.
pub(crate) struct Settings {
    control: Flow,
    bulk: Flow,
    accepted: Flow,
    initial_cids: Option<Arc<SeededCids>>,
    time: Arc<WallTime>,
    incoming_max: usize,
}

/// Flow control in our words and in QUIC's.
struct Flow {
    lane: LaneConfig,
    transport: Arc<TransportConfig>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("incoming_max", &self.incoming_max).finish_non_exhaustive()
    }
}

impl Settings {
    /// Translates a valid configuration.
    pub(crate) fn new(
        config: &QuicConfig,
        clock: Arc<dyn WallClock>,
        determinism: Option<Determinism>,
    ) -> Self {
        let flow = |lane: LaneConfig| Flow { transport: Arc::new(transport(config, &lane)), lane };
        Self {
            control: flow(config.control.clone()),
            bulk: flow(config.bulk.clone()),
            accepted: flow(config.accepted()),
            initial_cids: determinism.map(|d| Arc::new(SeededCids::new(mix(d.seed, 1)))),
            time: Arc::new(WallTime(clock)),
            incoming_max: config.handshakes_max,
        }
    }

    fn flow(&self, lane: Lane) -> &Flow {
        match lane {
            Lane::Control => &self.control,
            Lane::Bulk => &self.bulk,
        }
    }

    /// Flow control of a connection that this node dials.
    pub(crate) fn dialled(&self, lane: Lane) -> &LaneConfig {
        &self.flow(lane).lane
    }

    /// Flow control of a connection that this node accepts.
    pub(crate) fn accepted(&self) -> &LaneConfig {
        &self.accepted.lane
    }

    /// The configuration of one dial.
    pub(crate) fn client(&self, lane: Lane, tls: Arc<QuicClientConfig>) -> quinn::ClientConfig {
        let mut client = quinn::ClientConfig::new(tls);
        client.transport_config(Arc::clone(&self.flow(lane).transport));
        client.token_store(Arc::new(NoneTokenStore));
        if let Some(cids) = self.initial_cids.clone() {
            client.initial_dst_cid_provider(Arc::new(move || cids.next()));
        }
        client
    }

    /// The configuration that all accepted handshakes start from.
    pub(crate) fn server(&self, tls: Arc<QuicServerConfig>) -> quinn::ServerConfig {
        let mut server = quinn::ServerConfig::with_crypto(tls);
        server.transport_config(Arc::clone(&self.accepted.transport));
        server.migration(false);
        server.max_incoming(self.incoming_max);
        server.incoming_buffer_size(INCOMING_BUFFER);
        server.incoming_buffer_size_total(INCOMING_BUFFER.saturating_mul(self.incoming_max as u64));
        server.time_source(Arc::<WallTime>::clone(&self.time));
        // Tokens would save a peer the proof of its address next time; handshakes here fit three
        // packets, so there is nothing to save.
        let mut tokens = ValidationTokenConfig::default();
        tokens.sent(0);
        server.validation_token_config(tokens);
        server
    }
}

/// The configuration of the endpoint as a whole.
pub(crate) fn endpoint(
    config: &QuicConfig,
    credentials: &Credentials,
    determinism: Option<Determinism>,
) -> EndpointConfig {
    let reset = credentials.reset_secret();
    let mut endpoint = EndpointConfig::new(Arc::new(reset.key()));
    let cids = reset.cids();
    endpoint.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(cids)));
    let default = u16::try_from(endpoint.get_max_udp_payload_size()).unwrap_or(u16::MAX);
    endpoint
        .max_udp_payload_size(config.mtu_max.max(default))
        .expect("a valid configuration has no packets below 1,200 bytes");
    if let Some(Determinism { seed }) = determinism {
        let mut bytes = [0; 32];
        for (lane, word) in bytes.chunks_exact_mut(8).enumerate() {
            word.copy_from_slice(&mix(seed, 10 + lane as u64).to_le_bytes());
        }
        endpoint.rng_seed(Some(bytes));
        endpoint.cid_generator(move || Box::new(SeededCids::new(mix(seed, 2))));
    }
    endpoint
}

fn transport(config: &QuicConfig, flow: &LaneConfig) -> TransportConfig {
    let mut transport = TransportConfig::default();
    let window = |bytes: u64| VarInt::from_u64(bytes).unwrap_or(VarInt::MAX);
    transport.stream_receive_window(window(flow.stream_window.0));
    transport.receive_window(window(flow.connection_window.0));
    transport.send_window(flow.send_window.0);
    transport.max_concurrent_bidi_streams(flow.streams_bi.into());
    transport.max_concurrent_uni_streams(flow.streams_uni.into());
    let idle = config.idle_timeout.try_into().expect("a valid configuration waits a day at most");
    transport.max_idle_timeout(Some(idle));
    transport.keep_alive_interval(Some(config.keep_alive));
    transport.initial_mtu(config.mtu_initial);
    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(config.mtu_max);
    transport.mtu_discovery_config(Some(discovery));
    let mut cubic = CubicConfig::default();
    cubic.initial_window(INITIAL_WINDOW_PACKETS * u64::from(config.mtu_max));
    transport.congestion_controller_factory(Arc::new(cubic));
    transport.enable_segmentation_offload(config.segmentation_offload);
    // Datagrams are not part of the contract: a peer that sends them breaks the protocol.
    transport.datagram_receive_buffer_size(None);
    transport
}

/// Address tokens follow the wall clock that the transport was given.
struct WallTime(Arc<dyn WallClock>);

impl TimeSource for WallTime {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.0.unix_ms())
    }
}

/// Connection ids that repeat with their seed.
struct SeededCids {
    seed: u64,
    issued: AtomicU64,
}

impl SeededCids {
    fn new(seed: u64) -> Self {
        Self { seed, issued: AtomicU64::new(0) }
    }

    fn next(&self) -> ConnectionId {
        let n = self.issued.fetch_add(1, Ordering::Relaxed);
        ConnectionId::new(&mix(self.seed, n).to_le_bytes())
    }
}

impl ConnectionIdGenerator for SeededCids {
    fn generate_cid(&mut self) -> ConnectionId {
        self.next()
    }

    fn cid_len(&self) -> usize {
        CID_LEN
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// Spreads a seed and a counter over 64 bits, one to one for each seed (the finaliser of
/// SplitMix64), so that ids of one endpoint never repeat.
fn mix(seed: u64, n: u64) -> u64 {
    let mut z = seed.wrapping_add(n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_repeat_with_the_seed_and_never_within_it() {
        let ids = |seed| {
            let cids = SeededCids::new(seed);
            (0..1_000).map(|_| cids.next().to_vec()).collect::<Vec<_>>()
        };
        assert_eq!(ids(7), ids(7));
        assert_eq!(ids(7).into_iter().collect::<BTreeSet<_>>().len(), 1_000);
        assert_ne!(ids(7), ids(8));
    }
}
