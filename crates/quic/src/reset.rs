//! Secrets that outlive a restart, so that peers notice one at once.
//!
//! A node that was killed and is back at its address gets packets of connections that it does not
//! know. It answers them with a stateless reset (RFC 9000, section 10.3), which the peer believes
//! if it carries the token that the node announced before it was killed. Both runs therefore derive
//! their tokens, and the key by which they know connection ids as their own, from the private key of
//! the node's certificate, which only the node has.

use std::fmt;

use quinn::crypto::{CryptoError, HmacKey};

/// Separates the secrets from each other and from every other use of the private key.
const RESET_CONTEXT: &str = "peerstream 2026-01-01 QUIC stateless reset tokens";
const CIDS_CONTEXT: &str = "peerstream 2026-01-01 QUIC connection id check";

/// What is derived from the private key; neither shows in `Debug`.
#[derive(Clone)]
pub(crate) struct ResetSecret {
    tokens: [u8; blake3::KEY_LEN],
    cids: u64,
}

impl ResetSecret {
    pub(crate) fn of_private_key(der: &[u8]) -> Self {
        let mut cids = [0; 8];
        let cids_key = blake3::derive_key(CIDS_CONTEXT, der);
        cids.copy_from_slice(&cids_key[..8]);
        Self { tokens: blake3::derive_key(RESET_CONTEXT, der), cids: u64::from_le_bytes(cids) }
    }

    /// The key that turns connection ids into reset tokens.
    pub(crate) fn key(&self) -> ResetKey {
        ResetKey(self.tokens)
    }

    /// The key by which connection ids are known as our own. It guards no secret: it only saves
    /// answers to packets that are not QUIC.
    pub(crate) fn cids(&self) -> u64 {
        self.cids
    }
}

impl fmt::Debug for ResetSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResetSecret(hidden)")
    }
}

/// Keyed BLAKE3 as a message authentication code.
pub(crate) struct ResetKey([u8; blake3::KEY_LEN]);

impl HmacKey for ResetKey {
    fn sign(&self, data: &[u8], signature_out: &mut [u8]) {
        signature_out.copy_from_slice(blake3::keyed_hash(&self.0, data).as_bytes());
    }

    fn signature_len(&self) -> usize {
        blake3::OUT_LEN
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        // Compared in constant time.
        let signature: [u8; blake3::OUT_LEN] = signature.try_into().map_err(|_| CryptoError)?;
        if blake3::keyed_hash(&self.0, data) == signature { Ok(()) } else { Err(CryptoError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gives_the_same_tokens_each_time_and_another_key_others() {
        let token = |der: &[u8]| {
            let (mut token, key) = ([0; 32], ResetSecret::of_private_key(der).key());
            key.sign(b"connection", &mut token);
            assert!(key.verify(b"connection", &token).is_ok());
            assert!(key.verify(b"other", &token).is_err());
            token
        };
        assert_eq!(token(b"one"), token(b"one"));
        assert_ne!(token(b"one"), token(b"two"));
    }
}
