//! TLS for QUIC: TLS 1.3 only, both ends authenticated, nothing resumed, time from the outside.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use peerstream_types::{NodeId, WallClock};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::SupportedCipherSuite;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs, ring};
use rustls::server::NoServerSessionStorage;
use rustls::sign::SingleCertAndKey;
use rustls::time_provider::TimeProvider;
use rustls_pki_types::UnixTime;

use crate::credentials::{Credentials, CredentialsError};
use crate::fault::FaultSlot;
use crate::verify::{DialledVerifier, DiallerVerifier, Trust};

/// The application protocol with its major version, the only one that is spoken.
pub const ALPN: &str = "peerstream/1";

/// The cryptography: TLS 1.3 suites only, AES-128 first because it is the fastest where AES is in
/// hardware (AES-256 costs 6 % more, ChaCha20 60 %). The suites are those of the library that is
/// faster on this processor, all else is of AWS-LC.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    let build = || {
        let cipher_suites = if has_narrow_vaes() { suites_of_ring() } else { suites_of_aws_lc() };
        Arc::new(CryptoProvider { cipher_suites, ..aws_lc_rs::default_provider() })
    };
    Arc::clone(PROVIDER.get_or_init(build))
}

fn suites_of_aws_lc() -> Vec<SupportedCipherSuite> {
    use aws_lc_rs::cipher_suite::{
        TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
    };
    vec![TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256]
}

fn suites_of_ring() -> Vec<SupportedCipherSuite> {
    use ring::cipher_suite::{
        TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
    };
    vec![TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256]
}

/// Whether the processor does AES on vectors of 256 bits and not of 512: ring has code for it and
/// seals twice as fast there (5.3 against 2.7 GiB/s for 8,900 bytes). AWS-LC has code for 512 bits and
/// is up to twice as fast as ring with it.
fn has_narrow_vaes() -> bool {
    #[cfg(target_arch = "x86_64")]
    let narrow = is_x86_feature_detected!("vaes") && !is_x86_feature_detected!("avx512f");
    #[cfg(not(target_arch = "x86_64"))]
    let narrow = false;
    narrow
}

/// A moment of a [`WallClock`] as certificates count time.
pub(crate) fn unix_time(unix_ms: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_millis(unix_ms))
}

/// Certificate validity follows the wall clock that the transport was given.
#[derive(Debug)]
struct CertificateTime(Arc<dyn WallClock>);

impl TimeProvider for CertificateTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(unix_time(self.0.unix_ms()))
    }
}

/// Everything that a handshake needs; swapped as a whole by a reload.
#[derive(Debug)]
pub(crate) struct Tls {
    trust: Arc<Trust>,
    own: Arc<SingleCertAndKey>,
    time: Arc<CertificateTime>,
}

impl Tls {
    /// Takes credentials, if peers would take them too.
    pub(crate) fn new(
        credentials: &Credentials,
        clock: Arc<dyn WallClock>,
    ) -> Result<Self, CredentialsError> {
        let trust = Arc::new(credentials.trust(clock.unix_ms())?);
        let own = Arc::new(SingleCertAndKey::from(Arc::clone(&credentials.certified)));
        Ok(Self { trust, own, time: Arc::new(CertificateTime(clock)) })
    }

    /// For one dial: `node` must answer, or any member.
    pub(crate) fn dial(&self, node: Option<NodeId>) -> (Arc<QuicClientConfig>, FaultSlot) {
        let fault = FaultSlot::default();
        let trust = Arc::clone(&self.trust);
        let verifier = DialledVerifier { trust, node, fault: fault.clone() };
        let time: Arc<dyn TimeProvider> = Arc::<CertificateTime>::clone(&self.time);
        let mut config = rustls::ClientConfig::builder_with_details(provider(), time)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("all suites of the provider are of TLS 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::<SingleCertAndKey>::clone(&self.own));
        config.alpn_protocols = vec![ALPN.into()];
        config.resumption = Resumption::disabled();
        let config =
            QuicClientConfig::try_from(config).expect("the provider has AES-128, which QUIC starts with");
        (Arc::new(config), fault)
    }

    /// For one accepted handshake.
    pub(crate) fn accept(&self) -> (Arc<QuicServerConfig>, FaultSlot) {
        let fault = FaultSlot::default();
        let verifier = DiallerVerifier { trust: Arc::clone(&self.trust), fault: fault.clone() };
        let time: Arc<dyn TimeProvider> = Arc::<CertificateTime>::clone(&self.time);
        let mut config = rustls::ServerConfig::builder_with_details(provider(), time)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("all suites of the provider are of TLS 1.3")
            .with_client_cert_verifier(Arc::new(verifier))
            .with_cert_resolver(Arc::<SingleCertAndKey>::clone(&self.own));
        config.alpn_protocols = vec![ALPN.into()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        let config =
            QuicServerConfig::try_from(config).expect("the provider has AES-128, which QUIC starts with");
        (Arc::new(config), fault)
    }
}
