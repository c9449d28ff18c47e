//! Pages of an inventory.

use bytes::BytesMut;
use peerstream_snapshot::{Page, Snapshot};
use peerstream_types::PageToken;
use peerstream_wire::inventory::InventoryPageV1;
use peerstream_wire::limits::{PAGE_ENTRIES_MAX, PAGE_FRAME_MAX};
use peerstream_wire::{Bounded, InventoryPage, StreamKind, frame};

use super::stream::Outgoing;
use super::{Serve, ServeError};
use crate::io::IoError;

/// Most pages of one answer, whatever was asked: the receiver asks again.
const PAGES_MAX: u32 = 16;

pub(super) async fn serve(
    serve: &Serve,
    snapshot: &dyn Snapshot,
    mut token: PageToken,
    pages: u32,
) -> Result<(), ServeError> {
    // The first page is made before the stream is opened, so that a bad token is an answer.
    let mut page = fitting(snapshot, &token).await?;
    let mut out = Outgoing::open(serve, StreamKind::Inventory).await?;
    for left in (0..pages.clamp(1, PAGES_MAX)).rev() {
        let next = page.1.clone();
        out.write(page.0.freeze()).await?;
        match next {
            Some(next) if left > 0 => token = next,
            Some(_) | None => break,
        }
        page = fitting(snapshot, &token).await?;
    }
    out.finish()
}

/// The largest page from `token` on that fits a frame, encoded, and where the next one begins.
async fn fitting(
    snapshot: &dyn Snapshot,
    token: &PageToken,
) -> Result<(BytesMut, Option<PageToken>), ServeError> {
    let mut limit = PAGE_ENTRIES_MAX;
    loop {
        let page = snapshot.page(token, limit).await?;
        let (len, next) = (page.entries.len(), page.next.clone());
        if weight(&page) <= PAGE_FRAME_MAX || len <= 1 {
            let mut out = BytesMut::new();
            frame::encode(&encode(page)?, &mut out).map_err(IoError::from)?;
            return Ok((out, next));
        }
        limit = len / 2;
    }
}

/// An upper bound of the encoded size of a page.
fn weight(page: &Page) -> usize {
    // Length, digest, ordinal, kind, codec and the length prefixes take less than this.
    const FIXED: usize = 72;
    let entries: usize = page.entries.iter().map(|e| e.key.as_bytes().len() + e.metadata.len() + FIXED).sum();
    let state = page.sealed.as_ref().map_or(0, |header| header.state.len() + 1024);
    entries + state + 1024
}

fn encode(page: Page) -> Result<InventoryPage, ServeError> {
    let entries = Bounded::try_from(page.entries)
        .map_err(|_| ServeError::TooLarge("the source made a page too long"))?;
    Ok(InventoryPage::V1(InventoryPageV1 { entries, next: page.next, sealed: page.sealed }))
}
