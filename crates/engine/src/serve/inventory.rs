//! Pages of an inventory, and runs of its entries.

use bytes::BytesMut;
use peerstream_snapshot::{Page, Snapshot};
use peerstream_types::{Entry, ManifestHeader, Ordinal, PageToken};
use peerstream_wire::inventory::{InventoryPageV1, InventoryRunV1};
use peerstream_wire::limits::{PAGE_ENTRIES_MAX, PAGE_FRAME_MAX};
use peerstream_wire::{Bounded, InventoryPage, InventoryRun, StreamKind, frame};

use super::stream::Outgoing;
use super::{Serve, ServeError};
use crate::io::IoError;

/// Most pages of one answer, whatever was asked: the receiver asks again.
const PAGES_MAX: u32 = 16;
const TOO_LONG: &str = "the source made a page too long";

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
        if weight(&page.entries, page.sealed.as_ref()) <= PAGE_FRAME_MAX || len <= 1 {
            let mut out = BytesMut::new();
            frame::encode(&encode(page)?, &mut out).map_err(IoError::from)?;
            return Ok((out, next));
        }
        limit = len / 2;
    }
}

/// Sends as many entries from an ordinal on as fit a frame, at most `count`.
pub(super) async fn serve_run(
    serve: &Serve,
    snapshot: &dyn Snapshot,
    first: Ordinal,
    count: u32,
) -> Result<(), ServeError> {
    let mut entries = snapshot.entries(first, count.min(PAGE_ENTRIES_MAX as u32)).await?;
    while weight(&entries, None) > PAGE_FRAME_MAX && entries.len() > 1 {
        entries.truncate(entries.len() / 2);
    }
    let entries = Bounded::try_from(entries).map_err(|_| ServeError::TooLarge(TOO_LONG))?;
    let mut frame = BytesMut::new();
    frame::encode(&InventoryRun::V1(InventoryRunV1 { entries }), &mut frame).map_err(IoError::from)?;
    let mut out = Outgoing::open(serve, StreamKind::Inventory).await?;
    out.write(frame.freeze()).await?;
    out.finish()
}

/// An upper bound of the encoded size of a page.
fn weight(entries: &[Entry], sealed: Option<&ManifestHeader>) -> usize {
    // Length, digest, ordinal, kind, codec and the length prefixes take less than this.
    const FIXED: usize = 72;
    let entries: usize = entries.iter().map(|e| e.key.as_bytes().len() + e.metadata.len() + FIXED).sum();
    let state = sealed.map_or(0, |header| header.state.len() + 1024);
    entries + state + 1024
}

fn encode(page: Page) -> Result<InventoryPage, ServeError> {
    let entries = Bounded::try_from(page.entries).map_err(|_| ServeError::TooLarge(TOO_LONG))?;
    Ok(InventoryPage::V1(InventoryPageV1 { entries, next: page.next, sealed: page.sealed }))
}
