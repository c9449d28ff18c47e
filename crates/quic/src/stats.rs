//! What the transport counts, and what it tells of peers that failed to authenticate.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;

/// Failures kept for a reader of [`AuthFailures`] that is behind; older ones are dropped. A flood
/// of them says no more than its first few.
pub const FAILURES_KEPT: usize = 64;

/// Why a peer that dialled this node was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FailureReason {
    /// It presented no certificate.
    NoCertificate,
    /// Its certificate is signed by a CA that is not among our roots.
    UntrustedCa,
    /// Its certificate has expired.
    Expired,
    /// Its certificate is not valid yet: one of the clocks is wrong.
    NotYetValid,
    /// A trusted certificate, but of another cluster.
    WrongCluster,
    /// A trusted certificate without a usable identity.
    BadIdentity,
    /// A certificate or a signature that is broken otherwise.
    BadCertificate,
    /// It speaks no protocol version that we speak.
    NoCommonProtocol,
    /// It refused *our* certificate, or expected another node.
    RefusedUs,
    /// It did not finish its handshake in time.
    TimedOut,
    /// It gave up, or broke the protocol.
    Aborted,
}

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoCertificate => "no certificate",
            Self::UntrustedCa => "untrusted CA",
            Self::Expired => "certificate expired",
            Self::NotYetValid => "certificate not valid yet",
            Self::WrongCluster => "wrong cluster",
            Self::BadIdentity => "no usable identity in the certificate",
            Self::BadCertificate => "bad certificate",
            Self::NoCommonProtocol => "no common protocol",
            Self::RefusedUs => "refused our certificate",
            Self::TimedOut => "handshake timed out",
            Self::Aborted => "handshake aborted",
        })
    }
}

/// A peer that dialled this node and was turned away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthFailure {
    /// From where; not proven, packets can be forged.
    pub remote: SocketAddr,
    /// Why.
    pub reason: FailureReason,
    /// The same in more words, shortened and escaped.
    pub detail: String,
}

/// What a transport has done since it was bound.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Dials that led to a connection.
    pub dialled: u64,
    /// Dials that failed.
    pub dials_failed: u64,
    /// Connections of peers that were authenticated.
    pub accepted: u64,
    /// Dials by others that were refused because a limit was reached.
    pub refused_busy: u64,
    /// Dials by others that had to prove their address first, because many were under way.
    pub retried: u64,
    /// Dials by others that failed to authenticate, by reason.
    pub auth_failures: BTreeMap<FailureReason, u64>,
    /// Connections that are open now.
    pub open: usize,
    /// Sends that the kernel refused, beyond a full buffer: QUIC sees lost packets. Hints at a
    /// driver without segmentation, a firewall, an interface that is down.
    pub send_errors: u64,
    /// Receive calls that failed.
    pub receive_errors: u64,
}

/// The failures from now on, for tests and alarms. See [`QuicTransport::auth_failures`].
///
/// [`QuicTransport::auth_failures`]: crate::QuicTransport::auth_failures
#[derive(Debug)]
pub struct AuthFailures(broadcast::Receiver<AuthFailure>);

impl AuthFailures {
    /// The next failure; skips what was dropped because the reader was more than
    /// [`FAILURES_KEPT`] behind. `None` once the transport is gone. Cancel safe.
    pub async fn next(&mut self) -> Option<AuthFailure> {
        loop {
            match self.0.recv().await {
                Ok(failure) => return Some(failure),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

/// The counters behind [`Stats`].
#[derive(Debug)]
pub(crate) struct Counters {
    stats: Mutex<Stats>,
    failures: broadcast::Sender<AuthFailure>,
}

impl Default for Counters {
    fn default() -> Self {
        Self { stats: Mutex::default(), failures: broadcast::Sender::new(FAILURES_KEPT) }
    }
}

impl Counters {
    /// Counts in place; never held across an `await`.
    pub(crate) fn count(&self) -> MutexGuard<'_, Stats> {
        // Plain numbers stay meaningful whatever panicked beside them.
        self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn failures(&self) -> AuthFailures {
        AuthFailures(self.failures.subscribe())
    }

    /// Counts, logs and tells a failure.
    pub(crate) fn failed(&self, failure: AuthFailure) {
        let AuthFailure { remote, reason, detail } = &failure;
        tracing::warn!(%remote, %reason, %detail, "peer turned away");
        *self.count().auth_failures.entry(*reason).or_default() += 1;
        // Nobody listening is the usual case.
        let _ = self.failures.send(failure);
    }
}
