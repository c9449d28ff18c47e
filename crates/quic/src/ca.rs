//! A development CA: makes a cluster's root and its nodes' certificates.
//!
//! For trying out, tests and small clusters. It keeps no record of what it issued and cannot
//! revoke; a company's own CA does as well, if its certificates carry the names that the crate root
//! describes. Keys are Ed25519. Files, and who may read them, are the caller's business.

use std::fmt;
use std::time::Duration;

use peerstream_transport::PeerIdentity;
use peerstream_types::{ClusterName, NodeId};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ED25519, PublicKeyData, SanType, SerialNumber, date_time_ymd,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use webpki::EndEntityCert;

use crate::identity::{dns_name, shown, uri};

/// Longest validity in days: a hundred years.
pub const VALID_DAYS_MAX: u32 = 36_500;
/// Certificates are valid this long before they were made, for nodes whose clocks are behind.
const BACKDATED: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Latest time that is taken for a clock, in ms: the year 5138. X.509 ends with the year 9999.
const UNIX_MS_MAX: u64 = 100_000_000_000_000;
/// Length of serial numbers in bytes: fixed, so that certificates and handshakes have one size.
const SERIAL_LEN: usize = 16;

/// Why the CA refused. Nothing was made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CaError {
    /// Outside 1..=[`VALID_DAYS_MAX`].
    #[error("certificates valid for {0} days, allowed are 1 to {VALID_DAYS_MAX}")]
    ValidDays(u32),
    /// The time given is none.
    #[error("{0} ms since 1970 is not a time to issue certificates at")]
    Time(u64),
    /// The CA certificate or its key cannot be used.
    #[error("not a usable CA: {0}")]
    NotUsable(String),
    /// The CA certificate does not say for which cluster it is.
    #[error("the CA certificate has no URI name of the form spiffe://<cluster>")]
    NoCluster,
    /// Making a key or a certificate failed.
    #[error("cannot make the certificate: {0}")]
    Crypto(String),
}

impl From<rcgen::Error> for CaError {
    fn from(error: rcgen::Error) -> Self {
        Self::Crypto(error.to_string())
    }
}

/// A private key as PEM text, which does not show in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPem(String);

impl KeyPem {
    /// The text. Write it only where nobody but the node's user may read.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for KeyPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyPem(hidden)")
    }
}

/// A certificate of a node with its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeCertificate {
    /// The certificate, for [`CredentialFiles::chain`](crate::CredentialFiles::chain).
    pub chain_pem: String,
    /// The key, for [`CredentialFiles::key`](crate::CredentialFiles::key).
    pub key_pem: KeyPem,
}

/// A cluster's development CA.
pub struct CertificateAuthority {
    cluster: ClusterName,
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl CertificateAuthority {
    /// Makes a new CA for a cluster. `unix_ms` is now.
    ///
    /// # Errors
    ///
    /// [`CaError`]: a validity or a time out of range; the system's random source failing.
    pub fn init(cluster: &ClusterName, valid_days: u32, unix_ms: u64) -> Result<Self, CaError> {
        let key = KeyPair::generate_for(&PKCS_ED25519)?;
        let name = format!("{cluster} peerstream CA");
        let mut params = params(&name, &key, valid_days, unix_ms)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.subject_alt_names = vec![SanType::URI(trust_domain(cluster).try_into()?)];
        let certificate_pem = params.self_signed(&key)?.pem();
        Ok(Self { cluster: cluster.clone(), certificate_pem, issuer: Issuer::new(params, key) })
    }

    /// Takes a CA that [`CertificateAuthority::init`] made earlier.
    ///
    /// # Errors
    ///
    /// [`CaError`]: not PEM, not a CA of this kind, or the key is not the certificate's.
    pub fn load(certificate_pem: &str, key_pem: &str) -> Result<Self, CaError> {
        let not_usable = |error: &dyn fmt::Display| CaError::NotUsable(shown(&error.to_string()));
        let key = KeyPair::from_pem(key_pem).map_err(|_| not_usable(&"the key is not readable"))?;
        let der = CertificateDer::from_pem_slice(certificate_pem.as_bytes()).map_err(|e| not_usable(&e))?;
        let cert = EndEntityCert::try_from(&der).map_err(|e| not_usable(&e))?;
        if cert.subject_public_key_info().as_ref() != key.subject_public_key_info() {
            return Err(not_usable(&"the key is not the certificate's"));
        }
        let cluster = cert
            .valid_uri_names()
            .find_map(|uri| ClusterName::new(uri.strip_prefix("spiffe://")?).ok())
            .ok_or(CaError::NoCluster)?;
        let issuer = Issuer::from_ca_cert_der(&der, key)?;
        Ok(Self { cluster, certificate_pem: certificate_pem.to_owned(), issuer })
    }

    /// Issues a certificate with a new key for a node. `unix_ms` is now.
    ///
    /// # Errors
    ///
    /// [`CaError`]: a validity or a time out of range; the system's random source failing.
    pub fn issue(&self, node: &NodeId, valid_days: u32, unix_ms: u64) -> Result<NodeCertificate, CaError> {
        let key = KeyPair::generate_for(&PKCS_ED25519)?;
        let identity = PeerIdentity { cluster: self.cluster.clone(), node: node.clone() };
        let mut params = params(node.as_str(), &key, valid_days, unix_ms)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // Every node dials and is dialled.
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        params.subject_alt_names =
            vec![SanType::DnsName(dns_name(&identity).try_into()?), SanType::URI(uri(&identity).try_into()?)];
        let chain_pem = params.signed_by(&key, &self.issuer)?.pem();
        Ok(NodeCertificate { chain_pem, key_pem: KeyPem(key.serialize_pem()) })
    }

    /// The cluster that it issues for.
    pub fn cluster(&self) -> &ClusterName {
        &self.cluster
    }

    /// Its own certificate, which every node needs as
    /// [`CredentialFiles::roots`](crate::CredentialFiles::roots).
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Its key, which no node needs. Who has it can join anything to the cluster.
    pub fn key_pem(&self) -> KeyPem {
        KeyPem(self.issuer.key().serialize_pem())
    }
}

impl fmt::Debug for CertificateAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertificateAuthority({})", self.cluster)
    }
}

fn trust_domain(cluster: &ClusterName) -> String {
    format!("spiffe://{cluster}")
}

/// What all certificates share: name, serial number, validity.
fn params(name: &str, key: &KeyPair, valid_days: u32, unix_ms: u64) -> Result<CertificateParams, CaError> {
    if !(1..=VALID_DAYS_MAX).contains(&valid_days) {
        return Err(CaError::ValidDays(valid_days));
    }
    if unix_ms > UNIX_MS_MAX {
        return Err(CaError::Time(unix_ms));
    }
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(serial(key));
    let (now, epoch) = (Duration::from_millis(unix_ms), date_time_ymd(1970, 1, 1));
    params.not_before = epoch + now.saturating_sub(BACKDATED);
    params.not_after = epoch + now + DAY * valid_days;
    Ok(params)
}

/// The key is random, so its first bytes are. A leading byte of 0x40 to 0x7f keeps the number
/// positive and of one length.
fn serial(key: &KeyPair) -> SerialNumber {
    let mut serial = [0; SERIAL_LEN];
    for (byte, random) in serial.iter_mut().zip(key.der_bytes()) {
        *byte = *random;
    }
    serial[0] = serial[0] & 0x3f | 0x40;
    SerialNumber::from_slice(&serial)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Credentials;

    /// 2026-01-01.
    const NOW: u64 = 1_767_225_600_000;

    fn cluster() -> ClusterName {
        ClusterName::new("demo.internal").unwrap()
    }

    #[test]
    fn what_the_ca_issues_is_a_node_of_its_cluster() {
        let ca = CertificateAuthority::init(&cluster(), 365, NOW).unwrap();
        let node = ca.issue(&NodeId::new("a-1").unwrap(), 30, NOW).unwrap();
        let credentials =
            Credentials::from_pem(ca.certificate_pem(), &node.chain_pem, node.key_pem.expose()).unwrap();
        assert_eq!(credentials.identity().to_string(), "a-1.demo.internal");
        assert!(credentials.trust(NOW).is_ok());
        assert!(credentials.trust(NOW + 31 * 86_400_000).is_err());
    }

    #[test]
    fn a_loaded_ca_issues_what_the_first_one_trusts() {
        let first = CertificateAuthority::init(&cluster(), 365, NOW).unwrap();
        let again = CertificateAuthority::load(first.certificate_pem(), first.key_pem().expose()).unwrap();
        assert_eq!(again.cluster(), &cluster());
        let node = again.issue(&NodeId::new("b").unwrap(), 30, NOW).unwrap();
        let credentials =
            Credentials::from_pem(first.certificate_pem(), &node.chain_pem, node.key_pem.expose()).unwrap();
        assert!(credentials.trust(NOW).is_ok());
    }

    #[test]
    fn a_ca_with_another_key_is_refused() {
        let (a, b) = (
            CertificateAuthority::init(&cluster(), 365, NOW).unwrap(),
            CertificateAuthority::init(&cluster(), 365, NOW).unwrap(),
        );
        let error = CertificateAuthority::load(a.certificate_pem(), b.key_pem().expose()).unwrap_err();
        assert_eq!(error, CaError::NotUsable("the key is not the certificate's".to_owned()));
    }

    #[test]
    fn certificates_have_one_size() {
        let ca = CertificateAuthority::init(&cluster(), 365, NOW).unwrap();
        let sizes: std::collections::BTreeSet<usize> =
            (0..50).map(|_| ca.issue(&NodeId::new("a").unwrap(), 30, NOW).unwrap().chain_pem.len()).collect();
        assert_eq!(sizes.len(), 1, "{sizes:?}");
    }

    #[test]
    fn a_validity_or_a_time_that_cannot_be_meant_is_refused() {
        let init = |days, now| CertificateAuthority::init(&cluster(), days, now).unwrap_err();
        assert_eq!(init(0, NOW), CaError::ValidDays(0));
        assert_eq!(init(VALID_DAYS_MAX + 1, NOW), CaError::ValidDays(VALID_DAYS_MAX + 1));
        assert_eq!(init(1, u64::MAX), CaError::Time(u64::MAX));
        assert!(CertificateAuthority::init(&cluster(), VALID_DAYS_MAX, UNIX_MS_MAX).is_ok());
        assert!(CertificateAuthority::init(&cluster(), 1, 0).is_ok());
    }

    #[test]
    fn keys_do_not_show_in_debug() {
        let ca = CertificateAuthority::init(&cluster(), 365, NOW).unwrap();
        let node = ca.issue(&NodeId::new("a").unwrap(), 30, NOW).unwrap();
        let credentials =
            Credentials::from_pem(ca.certificate_pem(), &node.chain_pem, node.key_pem.expose()).unwrap();
        let secret = node.key_pem.expose().lines().nth(1).unwrap();
        let text = format!("{ca:?} {node:?} {credentials:?} {:?}", ca.key_pem());
        assert!(!text.contains(secret) && !text.contains("PRIVATE"), "{text}");
    }
}
