//! Pages of a source's inventory, checked while they come.

use std::sync::Arc;

use peerstream_snapshot::ManifestCheck;
use peerstream_types::{Entry, ManifestHeader, Ordinal, PageToken};
use peerstream_wire::inventory::InventoryPageV1;
use peerstream_wire::message::OfferV1;
use peerstream_wire::{InventoryPage, InventoryRun, StreamKind};

use super::{ReceiveError, one_frame};
use crate::session::{Ask, SessionHandle};

/// A listing under way: whether what came so far is the manifest that was offered.
#[derive(Debug, Clone)]
pub(crate) struct Listing(ManifestCheck);

/// One checked page.
pub(crate) struct CheckedPage {
    pub(crate) entries: Vec<Arc<Entry>>,
    pub(crate) next: Option<PageToken>,
    pub(crate) sealed: Option<ManifestHeader>,
}

impl Listing {
    pub(crate) fn new(offer: &OfferV1) -> Self {
        Self(ManifestCheck::new(offer.header.clone(), offer.selector.clone()))
    }

    fn check(&mut self, page: InventoryPageV1) -> Result<CheckedPage, ReceiveError> {
        let InventoryPageV1 { entries, next, sealed } = page;
        self.take(entries.into_vec(), next, sealed)
    }

    /// Checks the entries of the next page, wherever they come from.
    pub(crate) fn take(
        &mut self,
        entries: Vec<Entry>,
        next: Option<PageToken>,
        sealed: Option<ManifestHeader>,
    ) -> Result<CheckedPage, ReceiveError> {
        let checked = self.0.page(&entries, sealed.as_ref());
        checked.map_err(|fault| ReceiveError::Wrong(fault.to_string()))?;
        Ok(CheckedPage { entries: entries.into_iter().map(Arc::new).collect(), next, sealed })
    }
}

/// Asks for the page at `token` and checks it.
pub(crate) async fn next_page(
    session: &SessionHandle,
    offer: &OfferV1,
    mut listing: Listing,
    token: PageToken,
) -> Result<(Listing, CheckedPage), ReceiveError> {
    let ask = Ask::List { offer: offer.offer, token };
    let page = one_frame(session, ask, StreamKind::Inventory, "an answer without a page");
    let InventoryPage::V1(page) = page.await?;
    let checked = listing.check(page)?;
    Ok((listing, checked))
}

/// Asks for entries from an ordinal on, at most `count`: those that came, at least one.
pub(crate) async fn next_run(
    session: &SessionHandle,
    offer: &OfferV1,
    first: Ordinal,
    count: u32,
) -> Result<Vec<Entry>, ReceiveError> {
    let ask = Ask::Run { offer: offer.offer, first, count };
    let run = one_frame(session, ask, StreamKind::Inventory, "an answer without entries");
    let InventoryRun::V1(run) = run.await?;
    let entries = run.entries.into_vec();
    if entries.len() as u64 > u64::from(count) {
        return Err(ReceiveError::Wrong("more entries came than were asked for".to_owned()));
    }
    Ok(entries)
}
