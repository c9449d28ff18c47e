//! Ends that are not ours: without a certificate, with an odd one, of another version.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::sync::Arc;
use std::time::Duration;

use peerstream_quic::{CertificateAuthority, QuicTransport};
use peerstream_transport::Transport;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};

use crate::common::{NOW, in_time, loopback, node_id};

/// A certificate and its key.
pub(crate) struct Pems {
    chain: String,
    key: String,
}

impl Pems {
    pub(crate) fn issued(ca: &CertificateAuthority, id: &str) -> Self {
        let node = ca.issue(&node_id(id), 30, NOW).unwrap();
        Self { chain: node.chain_pem, key: node.key_pem.expose().to_owned() }
    }

    pub(crate) fn der(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let chain = CertificateDer::from_pem_slice(self.chain.as_bytes()).unwrap();
        (vec![chain], PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap())
    }
}

/// A certificate that the CA signed, with names of the test's choice.
pub(crate) fn odd_certificate(ca: &CertificateAuthority, names: &[&str]) -> Pems {
    let issuer_key = rcgen::KeyPair::from_pem(ca.key_pem().expose()).unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_pem(ca.certificate_pem(), issuer_key).unwrap();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    for name in names {
        params.subject_alt_names.push(if name.contains("://") {
            rcgen::SanType::URI((*name).try_into().unwrap())
        } else {
            rcgen::SanType::DnsName((*name).try_into().unwrap())
        });
    }
    Pems { chain: params.signed_by(&key, &issuer).unwrap().pem(), key: key.serialize_pem() }
}

pub(crate) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// The time of the test.
#[derive(Debug)]
pub(crate) struct Frozen;

impl rustls::time_provider::TimeProvider for Frozen {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_millis(NOW)))
    }
}

/// A dialler that is not ours: it checks only that a root vouches for the name `a.demo.internal`.
pub(crate) struct Raw {
    endpoint: quinn::Endpoint,
    config: quinn::ClientConfig,
}

impl Raw {
    pub(crate) fn new(roots: &str, certificate: Option<&Pems>, alpn: &str) -> Self {
        let mut store = rustls::RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(roots.as_bytes()) {
            store.add(root.unwrap()).unwrap();
        }
        let builder = rustls::ClientConfig::builder_with_details(provider(), Arc::new(Frozen))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(store);
        let mut config = match certificate {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let (chain, key) = own.der();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        config.alpn_protocols = vec![alpn.into()];
        let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(config).unwrap()));
        Self { endpoint: quinn::Endpoint::client(loopback()).unwrap(), config }
    }

    pub(crate) async fn connect(
        &self,
        to: &QuicTransport,
    ) -> Result<quinn::Connection, quinn::ConnectionError> {
        let addr = to.local_addr();
        let connecting = self.endpoint.connect_with(self.config.clone(), addr, "a.demo.internal").unwrap();
        in_time(connecting).await
    }
}

/// A node of another version.
pub(crate) fn raw_server(ca: &CertificateAuthority, alpn: &str) -> quinn::Endpoint {
    let (chain, key) = Pems::issued(ca, "z").der();
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![alpn.into()];
    let crypto = QuicServerConfig::try_from(config).unwrap();
    quinn::Endpoint::server(quinn::ServerConfig::with_crypto(Arc::new(crypto)), loopback()).unwrap()
}

/// The TLS alert that ended a raw connection.
pub(crate) fn alert_of(error: &quinn::ConnectionError) -> Option<u64> {
    match error {
        quinn::ConnectionError::ConnectionClosed(close) => Some(u64::from(close.error_code) & 0xff),
        quinn::ConnectionError::VersionMismatch
        | quinn::ConnectionError::TransportError(_)
        | quinn::ConnectionError::ApplicationClosed(_)
        | quinn::ConnectionError::Reset
        | quinn::ConnectionError::TimedOut
        | quinn::ConnectionError::LocallyClosed
        | quinn::ConnectionError::CidsExhausted => None,
    }
}
