//! The identity that a certificate proves.

use peerstream_transport::PeerIdentity;
use peerstream_types::{ClusterName, NodeId};
use rustls_pki_types::CertificateDer;
use webpki::EndEntityCert;

/// Why a certificate carries no usable identity. It was issued wrongly: its owner needs a new one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IdentityError {
    /// Not an X.509 certificate.
    #[error("not a readable certificate: {0}")]
    Unreadable(String),
    /// Exactly one URI of the form `spiffe://<cluster>/node/<id>` is needed.
    #[error("needs exactly one URI name, spiffe://<cluster>/node/<id>; it has {0}")]
    NotOneUri(usize),
    /// The URI has another form, or a name in it is not allowed.
    #[error("its URI name {0} is not of the form spiffe://<cluster>/node/<id>")]
    BadUri(String),
    /// The DNS name does not agree with the URI.
    #[error("it names {uri} but lacks the DNS name {dns}")]
    NoDnsName {
        /// The identity of the URI.
        uri: String,
        /// The DNS name that is missing.
        dns: String,
    },
}

/// Longest piece of a peer's certificate or message that is shown to an operator, in characters.
const SHOWN_MAX: usize = 200;

/// Text from a peer, shortened and escaped, so that it can stand in a log line.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars().take(SHOWN_MAX) {
        match c {
            '\'' | '"' => shown.push(c),
            c => shown.extend(c.escape_debug()),
        }
    }
    shown
}

/// The DNS name of a node, which is what a dialler asks for.
pub(crate) fn dns_name(identity: &PeerIdentity) -> String {
    format!("{}.{}", identity.node, identity.cluster)
}

/// The URI name of a node.
#[cfg(feature = "ca")]
pub(crate) fn uri(identity: &PeerIdentity) -> String {
    format!("spiffe://{}/node/{}", identity.cluster, identity.node)
}

/// Reads the identity of a leaf certificate. Says nothing about who signed it.
pub(crate) fn of_certificate(leaf: &CertificateDer<'_>) -> Result<PeerIdentity, IdentityError> {
    let cert = EndEntityCert::try_from(leaf).map_err(|e| IdentityError::Unreadable(e.to_string()))?;
    let mut uris = cert.valid_uri_names();
    let (first, more) = (uris.next(), uris.count());
    let uri = match first {
        Some(uri) if more == 0 => uri,
        found => return Err(IdentityError::NotOneUri(more + usize::from(found.is_some()))),
    };
    let identity = parse_uri(uri).ok_or_else(|| IdentityError::BadUri(shown(uri)))?;
    let dns = dns_name(&identity);
    if !cert.valid_dns_names().any(|name| name == dns) {
        return Err(IdentityError::NoDnsName { uri: shown(uri), dns });
    }
    Ok(identity)
}

fn parse_uri(uri: &str) -> Option<PeerIdentity> {
    let (cluster, path) = uri.strip_prefix("spiffe://")?.split_once('/')?;
    let node = path.strip_prefix("node/")?;
    Some(PeerIdentity { cluster: ClusterName::new(cluster).ok()?, node: NodeId::new(node).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_form_of_the_uri_is_an_identity() {
        let identity = parse_uri("spiffe://demo.internal/node/a-1").unwrap();
        assert_eq!(identity.to_string(), "a-1.demo.internal");
        for bad in [
            "",
            "https://demo.internal/node/a",
            "spiffe://demo.internal",
            "spiffe://demo.internal/node/",
            "spiffe://demo.internal/node/a/b",
            "spiffe://demo.internal/store/a",
            "spiffe:///node/a",
            "spiffe://demo.internal/node/../a",
            "spiffe://demo.internal:1/node/a",
            "spiffe://DEMO/node/a",
        ] {
            assert_eq!(parse_uri(bad), None, "{bad}");
        }
    }

    #[test]
    fn text_from_a_peer_cannot_forge_log_lines() {
        assert_eq!(shown("a's\nb\u{1b}[31m"), "a's\\nb\\u{1b}[31m");
        assert_eq!(shown(&"x".repeat(1_000)).len(), SHOWN_MAX);
    }
}
