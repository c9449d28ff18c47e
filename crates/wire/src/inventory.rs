//! Pages of an inventory.

use peerstream_types::entry::METADATA_LEN_MAX;
use peerstream_types::{Entry, ManifestHeader, PageToken};
use serde::{Deserialize, Serialize};

use crate::limits::{PAGE_ENTRIES_MAX, PAGE_FRAME_MAX};
use crate::message::check_header;
use crate::{Bounded, Framed, WireError};

/// One page of an inventory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryPageV1 {
    /// Entries in strictly ascending key order, with ordinals that count up by one.
    pub entries: Bounded<Entry, PAGE_ENTRIES_MAX>,
    /// Where the listing goes on after this page; `None` on the last one.
    pub next: Option<PageToken>,
    /// The sealed manifest header: on the last page and only there.
    pub sealed: Option<ManifestHeader>,
}

/// What travels on an inventory stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum InventoryPage {
    /// Version 1.
    V1(InventoryPageV1),
}

impl Framed for InventoryPage {
    const WHAT: &'static str = "inventory page";
    const FRAME_MAX: usize = PAGE_FRAME_MAX;

    fn validate(&self) -> Result<(), WireError> {
        let Self::V1(page) = self;
        let invalid = |why| Err(WireError::Invalid { what: Self::WHAT, why });
        for pair in page.entries.windows(2) {
            if pair[0].key >= pair[1].key {
                return invalid("its keys do not ascend");
            }
            if pair[0].ordinal.0.checked_add(1) != Some(pair[1].ordinal.0) {
                return invalid("its ordinals do not count up by one");
            }
        }
        if page.entries.iter().any(|entry| entry.metadata.len() > METADATA_LEN_MAX) {
            return invalid("an entry's metadata is longer than its limit");
        }
        if page.next.is_some() == page.sealed.is_some() {
            return invalid("the sealed header belongs on the last page and only there");
        }
        if page.next.is_some() && page.entries.is_empty() {
            return invalid("it is empty and not the last");
        }
        page.sealed.as_ref().map_or(Ok(()), |header| check_header(Self::WHAT, header, true))
    }
}
