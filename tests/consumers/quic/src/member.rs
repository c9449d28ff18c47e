//! A member of the cluster: a certificate of its CA, and a port that the system chose.

use std::error::Error;
use std::sync::Arc;

use peerstream_quic::{CertificateAuthority, Credentials, QuicConfig, QuicTransport};
use peerstream_types::{NodeId, WallClock};

/// The clock that certificates are checked by.
#[derive(Debug)]
pub struct SystemClock;

impl WallClock for SystemClock {
    fn unix_ms(&self) -> u64 {
        std::time::UNIX_EPOCH.elapsed().map_or(0, |now| now.as_millis() as u64)
    }
}

/// Issues a certificate for a node and starts it.
pub fn start(ca: &CertificateAuthority, id: &str) -> Result<QuicTransport, Box<dyn Error>> {
    let node = ca.issue(&NodeId::new(id)?, 30, SystemClock.unix_ms())?;
    let own = Credentials::from_pem(ca.certificate_pem(), &node.chain_pem, node.key_pem.expose())?;
    Ok(QuicTransport::bind("127.0.0.1:0".parse()?, &QuicConfig::default(), &own, Arc::new(SystemClock))?)
}
