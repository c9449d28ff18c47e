//! Where a listing continues.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest page token in bytes.
pub const TOKEN_LEN_MAX: usize = 256;

/// Where a listing continues: opaque to everyone but the source that made it. The empty token is
/// the beginning.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
pub struct PageToken(Vec<u8>);

/// Why a page token was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("page token has {0} bytes, at most {TOKEN_LEN_MAX} are allowed")]
pub struct PageTokenError(pub usize);

impl PageToken {
    /// The beginning of every listing.
    pub const START: Self = Self(Vec::new());

    /// Keeps a source's token.
    ///
    /// # Errors
    ///
    /// [`PageTokenError`] over [`TOKEN_LEN_MAX`] bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, PageTokenError> {
        let bytes = bytes.into();
        if bytes.len() > TOKEN_LEN_MAX {
            return Err(PageTokenError(bytes.len()));
        }
        Ok(Self(bytes))
    }

    /// The token's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<Vec<u8>> for PageToken {
    type Error = PageTokenError;
    fn try_from(bytes: Vec<u8>) -> Result<Self, PageTokenError> {
        Self::new(bytes)
    }
}

impl From<PageToken> for Vec<u8> {
    fn from(token: PageToken) -> Self {
        token.0
    }
}

impl fmt::Debug for PageToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "token {}", self.0.escape_ascii())
    }
}
