//! Pages of an inventory, and runs of its entries.

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
        check_entries(Self::WHAT, &page.entries)?;
        if page.next.is_some() == page.sealed.is_some() {
            return invalid("the sealed header belongs on the last page and only there");
        }
        if page.next.is_some() && page.entries.is_empty() {
            return invalid("it is empty and not the last");
        }
        page.sealed.as_ref().map_or(Ok(()), |header| check_header(Self::WHAT, header, true))
    }
}

/// Entries in a row, without a place in a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryRunV1 {
    /// Entries in strictly ascending key order, with ordinals that count up by one: at least one, and as
    /// many of those that were asked for as fit.
    pub entries: Bounded<Entry, PAGE_ENTRIES_MAX>,
}

/// The answer to a [`RunRequest`](crate::Message::RunRequest).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum InventoryRun {
    /// Version 1.
    V1(InventoryRunV1),
}

impl Framed for InventoryRun {
    const WHAT: &'static str = "inventory run";
    const FRAME_MAX: usize = PAGE_FRAME_MAX;

    fn validate(&self) -> Result<(), WireError> {
        let Self::V1(run) = self;
        if run.entries.is_empty() {
            return Err(WireError::Invalid { what: Self::WHAT, why: "it has no entry" });
        }
        check_entries(Self::WHAT, &run.entries)
    }
}

fn check_entries(what: &'static str, entries: &[Entry]) -> Result<(), WireError> {
    let invalid = |why| Err(WireError::Invalid { what, why });
    for pair in entries.windows(2) {
        if pair[0].key >= pair[1].key {
            return invalid("its keys do not ascend");
        }
        if pair[0].ordinal.0.checked_add(1) != Some(pair[1].ordinal.0) {
            return invalid("its ordinals do not count up by one");
        }
    }
    if entries.iter().any(|entry| entry.metadata.len() > METADATA_LEN_MAX) {
        return invalid("an entry's metadata is longer than its limit");
    }
    Ok(())
}
