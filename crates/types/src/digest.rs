//! Digests of entries and manifests, chaining values of chunks.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What content was agreed on: a cryptographic digest with its algorithm.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Digest {
    /// The ordinary BLAKE3 hash, as `b3sum` prints it. Its chunks verify alone, in any order.
    Blake3([u8; 32]),
    /// SHA-256, accepted for manifests that other systems made. Verifies only as a whole.
    Sha256([u8; 32]),
}

impl Digest {
    /// The raw bytes without the algorithm.
    pub fn as_bytes(&self) -> &[u8; 32] {
        match self {
            Self::Blake3(bytes) | Self::Sha256(bytes) => bytes,
        }
    }

    /// A number of the algorithm that never changes, for digests and files.
    pub fn code(&self) -> u8 {
        match self {
            Self::Blake3(_) => 1,
            Self::Sha256(_) => 2,
        }
    }

    /// The algorithm's name as it stands before the colon in text.
    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::Blake3(_) => "blake3",
            Self::Sha256(_) => "sha256",
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.algorithm())?;
        hex(self.as_bytes(), f)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The BLAKE3 chaining value of one chunk: what the chunk is checked against.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChainingValue(pub [u8; 32]);

impl fmt::Debug for ChainingValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

fn hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_prints_its_algorithm() {
        assert!(Digest::Blake3([0xab; 32]).to_string().starts_with("blake3:abab"));
        assert_eq!(Digest::Sha256([0; 32]).to_string().len(), "sha256:".len() + 64);
    }
}
