//! An entry of the listing, and which of the joined manifests have it.

use std::sync::Arc;

use peerstream_types::{Entry, Ordinal};

/// A set of columns, the manifests that are joined. Their number is bounded by
/// [`REPLICAS_MAX`](peerstream_select::roster::REPLICAS_MAX), so that a word holds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Columns(u64);

impl Columns {
    pub(crate) const ALL: Self = Self(u64::MAX);

    pub(crate) fn has(self, column: usize) -> bool {
        self.0 >> column & 1 == 1
    }
}

impl FromIterator<usize> for Columns {
    fn from_iter<T: IntoIterator<Item = usize>>(columns: T) -> Self {
        Self(columns.into_iter().fold(0, |bits, column| bits | 1 << column))
    }
}

/// Which columns have an entry, and under which ordinals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Holders {
    /// The one column that there is, under the ordinal that the entry has here.
    All,
    /// These, ascending.
    Of(Box<[(usize, Ordinal)]>),
}

impl Holders {
    pub(crate) fn columns(&self) -> Columns {
        match self {
            Self::All => Columns::ALL,
            Self::Of(list) => list.iter().map(|(column, _)| *column).collect(),
        }
    }

    /// The ordinal in a column of the entry that is `here` in the joined listing.
    pub(crate) fn there(&self, column: usize, here: Ordinal) -> Option<Ordinal> {
        match self {
            Self::All => Some(here),
            Self::Of(list) => list.iter().find(|(of, _)| *of == column).map(|(_, ordinal)| *ordinal),
        }
    }
}

/// An entry under its ordinal in the joined listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) entry: Arc<Entry>,
    pub(crate) holders: Holders,
}
