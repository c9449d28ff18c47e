//! Pages of a source's inventory, checked while they come.

use std::sync::Arc;

use peerstream_snapshot::ManifestHasher;
use peerstream_types::{Entry, EntryKey, ManifestHeader, Ordinal, PageToken, Selector};
use peerstream_wire::inventory::InventoryPageV1;
use peerstream_wire::message::OfferV1;
use peerstream_wire::{InventoryPage, StreamKind};

use super::{ReceiveError, stream_of};
use crate::session::{Ask, SessionHandle};

/// A listing under way: where it stands, and the digest so far.
#[derive(Debug, Clone)]
pub(crate) struct Listing {
    offered: ManifestHeader,
    selector: Selector,
    hasher: ManifestHasher,
    next: Ordinal,
    last: Option<EntryKey>,
}

/// One checked page.
pub(crate) struct CheckedPage {
    pub(crate) entries: Vec<Arc<Entry>>,
    pub(crate) next: Option<PageToken>,
    pub(crate) sealed: Option<ManifestHeader>,
}

impl Listing {
    pub(crate) fn new(offer: &OfferV1) -> Self {
        Self {
            offered: offer.header.clone(),
            selector: offer.selector.clone(),
            hasher: ManifestHasher::new(),
            next: Ordinal(0),
            last: None,
        }
    }

    /// Checks that a page continues the listing, and on the last one that all of it is what the
    /// source sealed and, if it was sealed then, offered.
    fn check(&mut self, page: InventoryPageV1) -> Result<CheckedPage, ReceiveError> {
        let wrong = |why: &str| Err(ReceiveError::Wrong(why.to_owned()));
        for entry in page.entries.iter() {
            if entry.ordinal != self.next {
                return wrong("ordinals do not continue");
            }
            if self.last.as_ref().is_some_and(|last| *last >= entry.key) {
                return wrong("keys do not ascend");
            }
            if !self.selector.admits(entry) {
                return wrong("an entry was listed that was not selected");
            }
            self.hasher.entry(entry);
            self.next = Ordinal(self.next.0 + 1);
            self.last = Some(entry.key.clone());
        }
        if let Some(sealed) = &page.sealed {
            self.check_sealed(sealed)?;
        }
        let entries = page.entries.into_iter().map(Arc::new).collect();
        Ok(CheckedPage { entries, next: page.next, sealed: page.sealed })
    }

    fn check_sealed(&self, sealed: &ManifestHeader) -> Result<(), ReceiveError> {
        let wrong = |why: &str| Err(ReceiveError::Wrong(why.to_owned()));
        if sealed.counts != self.hasher.counts() || sealed.chunk_size != self.offered.chunk_size {
            return wrong("the sealed header does not fit the pages");
        }
        if sealed.digest != Some(self.hasher.clone().seal(sealed)) {
            return wrong("the manifest's digest does not fit its entries");
        }
        if self.offered.is_sealed() && self.offered != *sealed {
            return wrong("the manifest is not the one that was offered");
        }
        Ok(())
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
    let mut request = session.ask(ask).await.map_err(ReceiveError::NotAsked)?;
    let id = request.id;
    let page = async {
        let mut reader = stream_of(&mut request, StreamKind::Inventory).await?;
        reader
            .frame::<InventoryPage>()
            .await?
            .ok_or_else(|| ReceiveError::Wrong("an answer without a page".to_owned()))
    };
    let page = page.await;
    session.done(id).await;
    let InventoryPage::V1(page) = page?;
    let checked = listing.check(page)?;
    Ok((listing, checked))
}
