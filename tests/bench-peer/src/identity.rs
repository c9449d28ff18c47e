//! Who the two ends are, and what they prove it with.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use peerstream_engine::types::{ClusterName, NodeId, WallClock};
use peerstream_quic::{CertificateAuthority, CredentialFiles, Credentials};

use crate::Result;

const CLUSTER: &str = "bench.internal";
/// The sending ends, in the order in which a receiver is told where they are.
pub(crate) const DONORS: [&str; 3] = [DONOR, "donor-2", "donor-3"];
/// The sending end, where there is one.
pub(crate) const DONOR: &str = "donor";
/// The receiving end.
pub(crate) const REPLICA: &str = "replica";
const VALID_DAYS: u32 = 30;

pub(crate) fn cluster() -> Result<ClusterName> {
    Ok(ClusterName::new(CLUSTER)?)
}

pub(crate) fn node(name: &str) -> Result<NodeId> {
    Ok(NodeId::new(name)?)
}

/// Writes a CA and the certificates of all ends.
pub(crate) fn issue(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir)?;
    let now = SystemClock.unix_ms();
    let ca = CertificateAuthority::init(&cluster()?, VALID_DAYS, now)?;
    fs::write(dir.join("ca.pem"), ca.certificate_pem())?;
    for name in DONORS.into_iter().chain([REPLICA]) {
        let issued = ca.issue(&node(name)?, VALID_DAYS, now)?;
        let files = files(dir, name);
        fs::write(files.chain, issued.chain_pem)?;
        fs::write(files.key, issued.key_pem.expose())?;
    }
    Ok(())
}

pub(crate) fn credentials(dir: &Path, name: &str) -> Result<Credentials> {
    Ok(Credentials::from_files(&files(dir, name))?)
}

fn files(dir: &Path, name: &str) -> CredentialFiles {
    let at = |what: &str| dir.join(format!("{name}.{what}"));
    CredentialFiles { roots: dir.join("ca.pem"), chain: at("pem"), key: at("key") }
}

/// The system's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemClock;

impl WallClock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the WallClock seam's real side")]
    fn unix_ms(&self) -> u64 {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
    }
}
