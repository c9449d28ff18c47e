//! What goes between a join and the listings: requests, pages, and what is wrong with a page.

use std::sync::Arc;

use peerstream_types::{Entry, EntryKey, NodeId, PageToken};

use super::{IDLE_PAGES_MAX, PAGE_ENTRIES_MAX};
use crate::Slot;

/// A page that a replica is to be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// Whom.
    pub slot: Slot,
    /// Where its listing continues.
    pub token: PageToken,
}

/// A page of one replica's inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The token of the request that it answers.
    pub token: PageToken,
    /// The entries, in key order. A key may be repeated; the later report counts.
    pub entries: Vec<Arc<Entry>>,
    /// Where the listing continues; `None` where it ends.
    pub next: Option<PageToken>,
}

/// A replica gave a page that cannot be right. It is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the inventory of {replica} is refused: {fault}")]
pub struct PageError {
    /// Who gave it.
    pub replica: NodeId,
    /// What is wrong.
    pub fault: PageFault,
}

/// What is wrong with a page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PageFault {
    /// No page is under way.
    #[error("a page came that was not asked for")]
    Unasked,
    /// It is another page than the one that was asked for.
    #[error("the page of {got:?} came in place of that of {asked:?}")]
    OutOfOrder {
        /// What was asked for.
        asked: PageToken,
        /// What came.
        got: PageToken,
    },
    /// A key is lower than the one before.
    #[error("key {key} stands after {before}")]
    KeyWentBack {
        /// The key before.
        before: EntryKey,
        /// The lower one.
        key: EntryKey,
    },
    /// More entries than were asked for.
    #[error("the page has {0} entries, more than were asked for (at most {PAGE_ENTRIES_MAX})")]
    TooLong(usize),
    /// The listing would continue where this page began.
    #[error("the listing does not move on from {0:?}")]
    SameToken(PageToken),
    /// One page after the other without a new key, and no end.
    #[error("{IDLE_PAGES_MAX} pages in a row without a new key, and no end")]
    NoProgress,
}
