//! Asking for content and acknowledging it.

use peerstream_types::{ChunkRange, EntryKey, FetchId, OfferId, Ordinal, PageToken, Span};
use serde::{Deserialize, Serialize};

use crate::limits::{OUTLINE_VALUES_MAX, PAGE_ENTRIES_MAX, REASON_LEN_MAX, SPANS_MAX};
use crate::{Bounded, Code, Extensions, Text, WireError};

/// Asks for pages of an offer's inventory; they come on an inventory stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryRequestV1 {
    /// Names the request in its answer.
    pub request: FetchId,
    /// The offer.
    pub offer: OfferId,
    /// Where the listing begins.
    pub token: PageToken,
    /// How many pages are wanted at the most; at least one.
    pub pages: u32,
}

/// Asks for nodes of the digest tree of an offer's inventory; they come on a tree stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeRequestV1 {
    /// Names the request in its answer.
    pub request: FetchId,
    /// The offer.
    pub offer: OfferId,
    /// Which level of the tree: 0 are the leaves; `None` is the root, whatever its level.
    pub level: Option<u8>,
    /// Nodes that begin with this key or a later one; `None` is open.
    pub start: Option<EntryKey>,
    /// Nodes that begin before this key; `None` is open.
    pub end: Option<EntryKey>,
}

/// Asks for entries of an offer's inventory by their ordinals; they come on an inventory stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRequestV1 {
    /// Names the request in its answer.
    pub request: FetchId,
    /// The offer.
    pub offer: OfferId,
    /// The first entry.
    pub first: Ordinal,
    /// How many entries are wanted at the most; at least one.
    pub count: u32,
}

/// Asks for chaining values of an entry; they come on an outline stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutlineRequestV1 {
    /// Names the request in its answer.
    pub request: FetchId,
    /// The offer.
    pub offer: OfferId,
    /// The entry.
    pub ordinal: Ordinal,
    /// Which level of its tree: 0 are the chunks, 1 the groups of chunks.
    pub level: u8,
    /// Which chunks or groups.
    pub range: ChunkRange,
}

/// Asks for content; it comes on a records stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchV1 {
    /// Names the request in its answer.
    pub request: FetchId,
    /// The offer.
    pub offer: OfferId,
    /// What is wanted.
    pub spans: Bounded<Span, SPANS_MAX>,
    /// How often this receiver has asked this source for the first of them, counted from 1.
    pub attempt: u32,
    /// Optional parts.
    pub extensions: Extensions,
}

/// The answer to any request when no data stream can be it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchFailedV1 {
    /// The request.
    pub request: FetchId,
    /// Which part of it; empty means all of it.
    pub spans: Bounded<Span, SPANS_MAX>,
    /// Why.
    pub code: Code,
    /// In words.
    pub reason: Text<REASON_LEN_MAX>,
}

/// Content that is verified and stored. Idempotent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedV1 {
    /// The offer.
    pub offer: OfferId,
    /// What was stored.
    pub spans: Bounded<Span, SPANS_MAX>,
}

/// Why a source's references are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReleaseReason {
    /// The receiver has published.
    Done,
    /// It was taken from another source.
    Elsewhere,
    /// The receiver gave up.
    GivenUp,
}

/// References that the source may drop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseV1 {
    /// The offer.
    pub offer: OfferId,
    /// Which part of it; empty means all of it.
    pub spans: Bounded<Span, SPANS_MAX>,
    /// Why.
    pub reason: ReleaseReason,
}

/// Reserved: what a receiver can serve already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HaveV1 {
    /// The offer whose manifest the spans speak of.
    pub offer: OfferId,
    /// What can be served.
    pub spans: Bounded<Span, SPANS_MAX>,
}

impl InventoryRequestV1 {
    pub(super) fn validate(&self) -> Result<(), WireError> {
        if self.pages == 0 {
            return Err(WireError::Invalid { what: "InventoryRequest", why: "it asks for no pages" });
        }
        Ok(())
    }
}

impl TreeRequestV1 {
    pub(super) fn validate(&self) -> Result<(), WireError> {
        match (&self.start, &self.end) {
            (Some(start), Some(end)) if start >= end => {
                Err(WireError::Invalid { what: "TreeRequest", why: "its key range is empty" })
            }
            _ => Ok(()),
        }
    }
}

impl RunRequestV1 {
    pub(super) fn validate(&self) -> Result<(), WireError> {
        let invalid = |why| Err(WireError::Invalid { what: "RunRequest", why });
        if self.count == 0 || self.count as usize > PAGE_ENTRIES_MAX {
            return invalid("it asks for no entries or more than their limit");
        }
        if self.first.0.checked_add(u64::from(self.count)).is_none() {
            return invalid("its end cannot be counted");
        }
        Ok(())
    }
}

impl OutlineRequestV1 {
    pub(super) fn validate(&self) -> Result<(), WireError> {
        if self.range.count == 0 || self.range.count > OUTLINE_VALUES_MAX {
            let why = "it asks for no values or more than their limit";
            return Err(WireError::Invalid { what: "OutlineRequest", why });
        }
        check_spans("OutlineRequest", &[Span::Chunks { ordinal: self.ordinal, range: self.range }])
    }
}

impl FetchV1 {
    pub(super) fn validate(&self) -> Result<(), WireError> {
        if self.spans.is_empty() {
            return Err(WireError::Invalid { what: "Fetch", why: "it asks for nothing" });
        }
        check_spans("Fetch", &self.spans)
    }
}

impl FetchFailedV1 {
    pub(super) fn validate(&self) -> Result<(), WireError> {
        check_spans("FetchFailed", &self.spans)
    }
}

impl ReceivedV1 {
    pub(super) fn validate(&self) -> Result<(), WireError> {
        check_spans("Received", &self.spans)
    }
}

impl ReleaseV1 {
    pub(super) fn validate(&self) -> Result<(), WireError> {
        check_spans("Release", &self.spans)
    }
}

impl HaveV1 {
    pub(super) fn validate(&self) -> Result<(), WireError> {
        check_spans("Have", &self.spans)
    }
}

fn check_spans(what: &'static str, spans: &[Span]) -> Result<(), WireError> {
    if spans.iter().all(|span| span.is_well_formed()) {
        return Ok(());
    }
    Err(WireError::Invalid { what, why: "a span is empty or its end cannot be counted" })
}
