//! What is wrong with a peer's certificate, kept as a type from the verifier to the caller.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use peerstream_types::NodeId;
use rustls::CertificateError;

use crate::identity::{IdentityError, shown};

/// What is wrong with a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CertFault {
    #[error("signed by a CA that we do not trust")]
    UnknownIssuer,
    #[error("it expired {} ago", rough(*.0))]
    Expired(Duration),
    #[error("it becomes valid in {}; is a clock wrong?", rough(*.0))]
    NotYetValid(Duration),
    #[error("it belongs to cluster {0}, not to ours")]
    WrongCluster(String),
    #[error("it belongs to node {0}, not to the one dialled")]
    WrongNode(NodeId),
    #[error(transparent)]
    BadIdentity(#[from] IdentityError),
    #[error("{0}")]
    Bad(String),
}

impl CertFault {
    /// What the chain verification found.
    pub(crate) fn of_chain(error: &rustls::Error) -> Self {
        let rustls::Error::InvalidCertificate(found) = error else {
            return Self::Bad(shown(&error.to_string()));
        };
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "a foreign, open enum; the rest is one kind to us"
        )]
        match found {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownIssuer,
            CertificateError::Expired => Self::Expired(Duration::ZERO),
            CertificateError::ExpiredContext { time, not_after } => {
                Self::Expired(Duration::from_secs(time.as_secs().saturating_sub(not_after.as_secs())))
            }
            CertificateError::NotValidYet => Self::NotYetValid(Duration::ZERO),
            CertificateError::NotValidYetContext { time, not_before } => {
                Self::NotYetValid(Duration::from_secs(not_before.as_secs().saturating_sub(time.as_secs())))
            }
            other => Self::Bad(shown(&other.to_string())),
        }
    }

    /// The TLS error, and with it the alert that the peer gets.
    pub(crate) fn to_tls(&self) -> rustls::Error {
        rustls::Error::InvalidCertificate(match self {
            Self::UnknownIssuer => CertificateError::UnknownIssuer,
            Self::Expired(_) => CertificateError::Expired,
            Self::NotYetValid(_) => CertificateError::NotValidYet,
            Self::WrongCluster(_) => CertificateError::ApplicationVerificationFailure,
            Self::WrongNode(_) => CertificateError::NotValidForName,
            Self::BadIdentity(_) | Self::Bad(_) => CertificateError::BadEncoding,
        })
    }
}

/// `3 days`, `5 hours`, `40 s`: how long, as precisely as an operator needs it.
fn rough(time: Duration) -> String {
    match time.as_secs() {
        secs if secs >= 2 * 86_400 => format!("{} days", secs / 86_400),
        secs if secs >= 2 * 3_600 => format!("{} hours", secs / 3_600),
        secs => format!("{secs} s"),
    }
}

/// Where the verifier of one handshake leaves what it found, because TLS errors lose it.
#[derive(Debug, Clone, Default)]
pub(crate) struct FaultSlot(Arc<OnceLock<CertFault>>);

impl FaultSlot {
    /// Keeps the first fault, and gives the TLS error for it.
    pub(crate) fn refuse(&self, fault: CertFault) -> rustls::Error {
        let error = fault.to_tls();
        // A handshake verifies one certificate, so a second fault cannot say more than the first.
        let _ = self.0.set(fault);
        error
    }

    /// What was found.
    pub(crate) fn get(&self) -> Option<&CertFault> {
        self.0.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_says_how_long() {
        let says = |secs| CertFault::Expired(Duration::from_secs(secs)).to_string();
        assert_eq!(says(30), "it expired 30 s ago");
        assert_eq!(says(7_200), "it expired 2 hours ago");
        assert_eq!(says(3 * 86_400 + 5), "it expired 3 days ago");
    }
}
