//! A source that a job has open.

use std::collections::BTreeMap;
use std::sync::Arc;

use peerstream_recovery::SourceId;
use peerstream_types::FetchId;
use peerstream_wire::message::OfferV1;
use tokio::task::AbortHandle;

use super::mirror::Mirror;
use crate::receive::Listing;
use crate::regards::Debt;
use crate::session::{Hold, Opened, SessionHandle};

/// A task that ends when its owner is dropped.
#[derive(Debug)]
pub(super) struct Owned(pub(super) AbortHandle);

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A source that a job has open, and everything that runs for it. Dropping it stops all of that, so
/// nothing of a closed source is stored any more.
#[derive(Debug)]
pub(super) struct SourceLink {
    pub(super) session: SessionHandle,
    pub(super) offer: Arc<OfferV1>,
    /// Where the listing stands, as far as pages were taken in.
    pub(super) listing: Listing,
    /// It was asked for the first page of its listing, which has not come.
    pub(super) is_at_start: bool,
    /// Whose listing its own follows, if it does, and how.
    pub(super) mirror: Option<(SourceId, Mirror)>,
    pub(super) fetches: BTreeMap<FetchId, (Owned, Debt)>,
    /// Pages and outlines under way, and the watch on the session's end.
    pub(super) tasks: Vec<Owned>,
    /// Until the job has taken all that it wants.
    pub(super) hold: Option<Hold>,
}

impl SourceLink {
    pub(super) fn new(opened: Opened) -> Self {
        let Opened { session, offer, hold } = opened;
        let listing = Listing::new(&offer);
        Self {
            session,
            offer: Arc::new(offer),
            listing,
            is_at_start: false,
            mirror: None,
            fetches: BTreeMap::new(),
            tasks: Vec::new(),
            hold: Some(hold),
        }
    }

    /// It is asked to list from the start.
    pub(super) fn begin_listing(&mut self) {
        self.listing = Listing::new(&self.offer);
        self.is_at_start = true;
        self.mirror = None;
    }

    /// Another listing is begun, of which this source may be no part.
    pub(super) fn end_listing(&mut self) {
        self.is_at_start = false;
        self.mirror = None;
    }

    /// Keeps a task as long as the source is open, and forgets those that have ended.
    pub(super) fn keep(&mut self, task: AbortHandle) {
        self.tasks.retain(|task| !task.0.is_finished());
        self.tasks.push(Owned(task));
    }
}
