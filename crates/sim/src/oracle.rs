//! What a run should have come to: the same bytes as at the sources, no byte more than needed, and as
//! fast as the links allow.
//!
//! | asks | |
//! |---|---|
//! | [`difference`] | is what a node shows what a source published? |
//! | [`Account`] | what became of every byte that came? |
//! | [`Fluid`] | how long would it have taken at best? |

mod account;
mod fluid;

use std::fmt;

use peerstream_types::EntryKey;

pub use account::Account;
pub use fluid::{Fluid, Limit, Receiver};

use crate::watch::Image;

/// How two images of a shard differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// An entry was published and is not shown.
    Missing(EntryKey),
    /// An entry is shown and was not published.
    Extra(EntryKey),
    /// An entry has other bytes, or another kind or metadata.
    Entry(EntryKey),
    /// Position, state or digest of the manifest are others.
    Header,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(key) => write!(f, "entry {key} of the published manifest is missing"),
            Self::Extra(key) => write!(f, "entry {key} is not in the published manifest"),
            Self::Entry(key) => write!(f, "entry {key} is not as it was published"),
            Self::Header => f.write_str("position, state or digest are not those of the published manifest"),
        }
    }
}

/// The first difference of entries, in key order, or of headers if there is none.
pub fn difference(published: &Image, shown: &Image) -> Option<Difference> {
    entry_difference(published, shown)
        .or_else(|| (published.header != shown.header).then_some(Difference::Header))
}

/// The first difference of entries, in key order.
pub(crate) fn entry_difference(published: &Image, shown: &Image) -> Option<Difference> {
    let keys = published.entries.keys().chain(shown.entries.keys());
    let differs = keys.filter(|key| published.entries.get(*key) != shown.entries.get(*key)).min()?.clone();
    Some(match (published.entries.contains_key(&differs), shown.entries.contains_key(&differs)) {
        (true, false) => Difference::Missing(differs),
        (false, _) => Difference::Extra(differs),
        (true, true) => Difference::Entry(differs),
    })
}
