//! Minor versions and features, and how two nodes agree on them.
//!
//! The major version is in the ALPN name of the connection (`peerstream/1`); a mismatch there ends
//! the handshake before any of this is sent.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The minor version of protocol 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Minor(pub u16);

impl Minor {
    /// The oldest minor version that this code speaks.
    pub const OLDEST: Self = Self(0);
    /// The newest minor version that this code speaks.
    pub const NEWEST: Self = Self(0);

    /// The newest version that both ranges hold, if any.
    pub fn common(ours: (Self, Self), theirs: (Self, Self)) -> Option<Self> {
        let newest = ours.1.min(theirs.1);
        (newest >= ours.0 && newest >= theirs.0).then_some(newest)
    }
}

impl fmt::Display for Minor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.0)
    }
}

/// Optional abilities, one bit each; what both ends have is used. No bit is assigned yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Features(pub u64);

impl Features {
    /// What this code can do.
    pub const OURS: Self = Self(0);

    /// What both can do.
    #[must_use]
    pub fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_common_minor_is_chosen() {
        let m = |a, b| (Minor(a), Minor(b));
        assert_eq!(Minor::common(m(0, 3), m(2, 5)), Some(Minor(3)));
        assert_eq!(Minor::common(m(2, 5), m(0, 3)), Some(Minor(3)));
        assert_eq!(Minor::common(m(0, 1), m(2, 5)), None);
        assert_eq!(Minor::common(m(3, 1), m(0, 5)), None);
    }
}
