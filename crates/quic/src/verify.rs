//! Certificate verification: the standard chain checks, then the identity, with typed results.

use std::fmt;
use std::sync::Arc;

use peerstream_transport::PeerIdentity;
use peerstream_types::{ClusterName, NodeId};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, VerifierBuilderError, WebPkiClientVerifier};
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible, RootCertStore, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::fault::{CertFault, FaultSlot};
use crate::identity;

/// Whom this node trusts: its roots, and members of its cluster only.
pub(crate) struct Trust {
    roots: Arc<RootCertStore>,
    clients: Arc<dyn ClientCertVerifier>,
    algorithms: WebPkiSupportedAlgorithms,
    cluster: ClusterName,
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trust({} roots, cluster {})", self.roots.len(), self.cluster)
    }
}

impl Trust {
    /// Trusts members of `cluster` that one of `roots` vouches for.
    pub(crate) fn new(
        roots: Arc<RootCertStore>,
        cluster: ClusterName,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, VerifierBuilderError> {
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(provider));
        let clients = builder.clear_root_hint_subjects().build()?;
        Ok(Self { roots, clients, algorithms: provider.signature_verification_algorithms, cluster })
    }

    /// Checks a chain that a node presents when it is dialled.
    pub(crate) fn verify_dialled(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<PeerIdentity, CertFault> {
        ParsedCertificate::try_from(leaf)
            .and_then(|cert| {
                let algorithms = self.algorithms.all;
                verify_server_cert_signed_by_trust_anchor(&cert, &self.roots, intermediates, now, algorithms)
            })
            .map_err(|error| CertFault::of_chain(&error))?;
        self.member(leaf)
    }

    /// Checks a chain that a dialler presents.
    fn verify_dialler(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<PeerIdentity, CertFault> {
        self.clients
            .verify_client_cert(leaf, intermediates, now)
            .map_err(|error| CertFault::of_chain(&error))?;
        self.member(leaf)
    }

    fn member(&self, leaf: &CertificateDer<'_>) -> Result<PeerIdentity, CertFault> {
        let identity = identity::of_certificate(leaf)?;
        if identity.cluster != self.cluster {
            return Err(CertFault::WrongCluster(identity.cluster.to_string()));
        }
        Ok(identity)
    }

    fn signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signed, &self.algorithms)
    }
}

/// Verifies the node that one dial reached.
#[derive(Debug)]
pub(crate) struct DialledVerifier {
    pub(crate) trust: Arc<Trust>,
    /// Who must answer; `None` accepts any member.
    pub(crate) node: Option<NodeId>,
    pub(crate) fault: FaultSlot,
}

impl ServerCertVerifier for DialledVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict =
            self.trust.verify_dialled(leaf, intermediates, now).and_then(|identity| match &self.node {
                Some(node) if *node != identity.node => Err(CertFault::WrongNode(identity.node)),
                Some(_) | None => Ok(()),
            });
        verdict.map(|()| ServerCertVerified::assertion()).map_err(|fault| self.fault.refuse(fault))
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls13RequiredForQuic.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trust.signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.algorithms.supported_schemes()
    }
}

/// Verifies one dialler. A certificate is mandatory.
#[derive(Debug)]
pub(crate) struct DiallerVerifier {
    pub(crate) trust: Arc<Trust>,
    pub(crate) fault: FaultSlot,
}

impl ClientCertVerifier for DiallerVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verdict = self.trust.verify_dialler(leaf, intermediates, now);
        verdict.map(|_| ClientCertVerified::assertion()).map_err(|fault| self.fault.refuse(fault))
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls13RequiredForQuic.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trust.signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.algorithms.supported_schemes()
    }
}
