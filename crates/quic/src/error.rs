//! From QUIC's errors to the contract's: who is at fault, and what to do.

use peerstream_transport::{ConnectError, ConnectionError, StreamError, Target};
use quinn::TransportErrorCode;

use crate::fault::{CertFault, FaultSlot};
use crate::identity::shown;
use crate::stats::FailureReason;
use crate::tls::ALPN;

/// TLS alerts (RFC 8446, section 6) that have a meaning of their own here.
mod alert {
    pub(super) const CERTIFICATE_REQUIRED: u8 = 116;
    pub(super) const NO_APPLICATION_PROTOCOL: u8 = 120;
}

/// The TLS alert inside a QUIC error code, if it is one.
fn alert_of(code: TransportErrorCode) -> Option<u8> {
    let code = u64::from(code);
    (code & !0xff == 0x100).then_some((code & 0xff) as u8)
}

/// What an alert says about the certificate of the end that receives it; `None` if nothing.
fn certificate_alert(alert: u8) -> Option<&'static str> {
    Some(match alert {
        42 => "it is malformed, lacks a usable identity, or is not of the node that was dialled",
        43 => "it is not made for this use",
        44 => "it was revoked",
        45 => "it has expired or is not valid yet by the peer's clock",
        46 => "the peer found it unacceptable",
        48 => "it is signed by a CA that the peer does not trust",
        49 => "it is not of the peer's cluster",
        51 => "its signature is wrong",
        alert::CERTIFICATE_REQUIRED => "none was presented",
        _ => return None,
    })
}

/// Why a connection ended.
pub(crate) fn connection(error: quinn::ConnectionError) -> ConnectionError {
    use quinn::ConnectionError as E;
    match error {
        E::ApplicationClosed(close) => ConnectionError::closed_by_peer(code(close.error_code), &close.reason),
        E::ConnectionClosed(close) => match alert_of(close.error_code).and_then(certificate_alert) {
            Some(why) => ConnectionError::Rejected(why.to_owned()),
            None => ConnectionError::Transport(shown(&format!("ended by the peer: {close}"))),
        },
        E::TransportError(error) => ConnectionError::Transport(shown(&error.to_string())),
        E::VersionMismatch => ConnectionError::Transport("no QUIC version in common".to_owned()),
        E::CidsExhausted => ConnectionError::Transport("out of connection ids".to_owned()),
        E::Reset => ConnectionError::Reset,
        E::TimedOut => ConnectionError::TimedOut,
        E::LocallyClosed => ConnectionError::ClosedLocally,
    }
}

/// Why a dial failed; `fault` is what the verifier left.
pub(crate) fn dial(
    target: &Target,
    error: quinn::ConnectionError,
    fault: &FaultSlot,
    after_ms: u64,
) -> ConnectError {
    use quinn::ConnectionError as E;
    let target = target.clone();
    if let Some(fault) = fault.get() {
        return match fault {
            CertFault::WrongCluster(presented) => {
                ConnectError::WrongCluster { target, presented: presented.clone() }
            }
            CertFault::WrongNode(node) => {
                ConnectError::WrongNode { target, presented: Some(node.to_string()) }
            }
            CertFault::UnknownIssuer
            | CertFault::Expired(_)
            | CertFault::NotYetValid(_)
            | CertFault::BadIdentity(_)
            | CertFault::Bad(_) => ConnectError::Untrusted { target, why: fault.to_string() },
        };
    }
    let no_protocol = |code| alert_of(code) == Some(alert::NO_APPLICATION_PROTOCOL);
    match error {
        E::TimedOut => ConnectError::TimedOut { target, after_ms },
        E::LocallyClosed => ConnectError::Closed,
        E::VersionMismatch => ConnectError::NoCommonProtocol { target, ours: ALPN.to_owned() },
        E::ConnectionClosed(close) if no_protocol(close.error_code) => {
            ConnectError::NoCommonProtocol { target, ours: ALPN.to_owned() }
        }
        E::TransportError(error) if no_protocol(error.code) => {
            ConnectError::NoCommonProtocol { target, ours: ALPN.to_owned() }
        }
        E::ConnectionClosed(close) if close.error_code == TransportErrorCode::CONNECTION_REFUSED => {
            ConnectError::Unreachable { target, why: "the peer is too busy or shutting down".to_owned() }
        }
        E::CidsExhausted => ConnectError::Local("out of connection ids".to_owned()),
        other @ (E::ConnectionClosed(_) | E::TransportError(_) | E::ApplicationClosed(_) | E::Reset) => {
            let ended = connection(other);
            if let ConnectionError::Rejected(why) = ended {
                return ConnectError::Rejected { target, why };
            }
            ConnectError::Unreachable { target, why: ended.to_string() }
        }
    }
}

/// Why a dial could not even start.
pub(crate) fn dial_start(target: &Target, error: &quinn::ConnectError) -> ConnectError {
    use quinn::ConnectError as E;
    match error {
        E::EndpointStopping => ConnectError::Closed,
        E::InvalidRemoteAddress(_) => ConnectError::Unreachable {
            target: target.clone(),
            why: "no such address for our socket (port 0, or IPv6 from an IPv4 socket)".to_owned(),
        },
        E::CidsExhausted | E::InvalidServerName(_) | E::NoDefaultClientConfig | E::UnsupportedVersion => {
            ConnectError::Local(error.to_string())
        }
    }
}

/// Why a peer's dial failed to authenticate, with more words for the operator.
pub(crate) fn accepted(error: quinn::ConnectionError, fault: &FaultSlot) -> (FailureReason, String) {
    use quinn::ConnectionError as E;
    if let Some(fault) = fault.get() {
        return (reason_of(fault), fault.to_string());
    }
    let reason = match &error {
        E::TransportError(error) => match alert_of(error.code) {
            Some(alert::CERTIFICATE_REQUIRED) => FailureReason::NoCertificate,
            Some(alert::NO_APPLICATION_PROTOCOL) => FailureReason::NoCommonProtocol,
            Some(alert) if certificate_alert(alert).is_some() => FailureReason::BadCertificate,
            Some(_) | None => FailureReason::Aborted,
        },
        E::ConnectionClosed(close) => match alert_of(close.error_code) {
            Some(alert::NO_APPLICATION_PROTOCOL) => FailureReason::NoCommonProtocol,
            Some(alert) if certificate_alert(alert).is_some() => FailureReason::RefusedUs,
            Some(_) | None => FailureReason::Aborted,
        },
        E::VersionMismatch => FailureReason::NoCommonProtocol,
        E::TimedOut => FailureReason::TimedOut,
        E::ApplicationClosed(_) | E::Reset | E::LocallyClosed | E::CidsExhausted => FailureReason::Aborted,
    };
    (reason, connection(error).to_string())
}

fn reason_of(fault: &CertFault) -> FailureReason {
    match fault {
        CertFault::UnknownIssuer => FailureReason::UntrustedCa,
        CertFault::Expired(_) => FailureReason::Expired,
        CertFault::NotYetValid(_) => FailureReason::NotYetValid,
        CertFault::WrongCluster(_) => FailureReason::WrongCluster,
        CertFault::BadIdentity(_) => FailureReason::BadIdentity,
        CertFault::WrongNode(_) | CertFault::Bad(_) => FailureReason::BadCertificate,
    }
}

/// An application's error code; ours are 32 bits, a peer's larger one saturates.
fn code(code: quinn::VarInt) -> u32 {
    u32::try_from(code.into_inner()).unwrap_or(u32::MAX)
}

/// Why a write failed.
pub(crate) fn write(error: quinn::WriteError) -> StreamError {
    use quinn::WriteError as E;
    match error {
        E::Stopped(stopped) => StreamError::Stopped(code(stopped)),
        E::ConnectionLost(error) => StreamError::Connection(connection(error)),
        E::ClosedStream => StreamError::Closed,
        E::ZeroRttRejected => unreachable_0rtt(),
    }
}

/// Why a read failed.
pub(crate) fn read(error: quinn::ReadError) -> StreamError {
    use quinn::ReadError as E;
    match error {
        E::Reset(reset) => StreamError::Reset(code(reset)),
        E::ConnectionLost(error) => StreamError::Connection(connection(error)),
        E::ClosedStream | E::IllegalOrderedRead => StreamError::Closed,
        E::ZeroRttRejected => unreachable_0rtt(),
    }
}

/// How a wait for the peer's receipt ended.
pub(crate) fn stopped(
    outcome: Result<Option<quinn::VarInt>, quinn::StoppedError>,
) -> Result<Option<u32>, StreamError> {
    use quinn::StoppedError as E;
    outcome.map(|stopped| stopped.map(code)).map_err(|error| match error {
        E::ConnectionLost(error) => StreamError::Connection(connection(error)),
        E::ZeroRttRejected => unreachable_0rtt(),
    })
}

/// We never send 0-RTT data, so nobody can reject it; still an error rather than a panic.
fn unreachable_0rtt() -> StreamError {
    StreamError::Connection(ConnectionError::Transport("0-RTT data was rejected".to_owned()))
}
