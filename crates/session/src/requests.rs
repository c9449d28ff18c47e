//! Requests under way, in both directions, matched by id (row F-35).

use std::collections::BTreeMap;

use peerstream_types::{FetchId, OfferId};

use crate::error::CommandError;

/// This end's requests without an end.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    outstanding: BTreeMap<FetchId, OfferId>,
    /// The id of the next request: ids ascend, so none is used twice.
    next: u64,
    max: u32,
}

impl Asked {
    pub(crate) fn new(max: u32) -> Self {
        Self { outstanding: BTreeMap::new(), next: 1, max: max.max(1) }
    }

    /// Lowers the window to what the peer allows.
    pub(crate) fn allow(&mut self, peer_max: u32) {
        self.max = self.max.min(peer_max.max(1));
    }

    /// The id that the next request will have, if the window has room for it.
    pub(crate) fn peek(&self) -> Result<FetchId, CommandError> {
        if self.outstanding.len() >= self.max as usize {
            return Err(CommandError::WindowFull(self.max));
        }
        Ok(FetchId(self.next))
    }

    pub(crate) fn insert(&mut self, request: FetchId, offer: OfferId) {
        self.outstanding.insert(request, offer);
        self.next = self.next.max(request.0 + 1);
    }

    pub(crate) fn offer_of(&self, request: FetchId) -> Option<OfferId> {
        self.outstanding.get(&request).copied()
    }

    /// Whether a request ever had this id.
    pub(crate) fn is_known(&self, request: FetchId) -> bool {
        request.0 > 0 && request.0 < self.next
    }

    pub(crate) fn remove(&mut self, request: FetchId) {
        self.outstanding.remove(&request);
    }

    pub(crate) fn remove_offer(&mut self, offer: OfferId) {
        self.outstanding.retain(|_, of| *of != offer);
    }

    pub(crate) fn len(&self) -> usize {
        self.outstanding.len()
    }
}

/// The peer's requests that the driver serves.
#[derive(Debug, Clone)]
pub(crate) struct Serving {
    under_way: BTreeMap<FetchId, OfferId>,
    /// The highest id so far: ids ascend, so a used one is known without keeping them all.
    last: Option<FetchId>,
    max: u32,
}

/// What becomes of a request's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ticket {
    Taken,
    /// As many as allowed are under way.
    Full,
    /// The id, or a later one, was used before.
    Used,
}

impl Serving {
    pub(crate) fn new(max: u32) -> Self {
        Self { under_way: BTreeMap::new(), last: None, max: max.max(1) }
    }

    pub(crate) fn set_max(&mut self, max: u32) {
        self.max = max.max(1);
    }

    /// Notes the id of a new request, and says whether there is room for it.
    pub(crate) fn admit(&mut self, request: FetchId) -> Ticket {
        if self.is_known(request) {
            return Ticket::Used;
        }
        self.last = Some(request);
        if self.under_way.len() >= self.max as usize { Ticket::Full } else { Ticket::Taken }
    }

    pub(crate) fn insert(&mut self, request: FetchId, offer: OfferId) {
        self.under_way.insert(request, offer);
    }

    pub(crate) fn contains(&self, request: FetchId) -> bool {
        self.under_way.contains_key(&request)
    }

    /// Whether the peer ever used this id, or could have.
    pub(crate) fn is_known(&self, request: FetchId) -> bool {
        self.last.is_some_and(|last| request <= last)
    }

    pub(crate) fn remove(&mut self, request: FetchId) {
        self.under_way.remove(&request);
    }

    pub(crate) fn remove_offer(&mut self, offer: OfferId) {
        self.under_way.retain(|_, of| *of != offer);
    }

    pub(crate) fn len(&self) -> usize {
        self.under_way.len()
    }
}
