//! Entries of a catalog one after the other: for merge joins and for publish.

use std::sync::Arc;

use peerstream_types::{Entry, Ordinal};

use super::page::{Place, StoredPage};
use super::{Catalog, State};
use crate::SourceError;

/// Reads a catalog in order, one page at a time. Waits for what is not announced yet.
#[derive(Debug)]
pub(in crate::directory) struct Cursor {
    catalog: Arc<Catalog>,
    at: u64,
    page: Option<Arc<StoredPage>>,
}

impl Cursor {
    pub(super) fn new(catalog: Arc<Catalog>, first: Ordinal) -> Self {
        Self { catalog, at: first.0, page: None }
    }

    /// The next entry, which stays the next; `None` at the end.
    ///
    /// # Errors
    ///
    /// What the disk says; why the writer gave up.
    pub(in crate::directory) async fn peek(&mut self) -> Result<Option<&Entry>, SourceError> {
        let place = Place::of(self.at);
        let here = self
            .page
            .as_ref()
            .is_some_and(|page| page.number() == place.page && page.entries.len() > place.within);
        if !here {
            self.page = None;
            self.catalog.wait(|state| state.entries() > self.at || State::has_ended(state)).await;
            if self.at >= self.catalog.entries() {
                self.catalog.sealed().await?;
                return Ok(None);
            }
            self.page = Some(self.catalog.page_with(self.at).await?);
        }
        Ok(self.page.as_ref().and_then(|page| page.entries.get(place.within)))
    }

    /// The next entry, which is then behind; `None` at the end.
    ///
    /// # Errors
    ///
    /// As for [`Cursor::peek`].
    pub(in crate::directory) async fn next(&mut self) -> Result<Option<&Entry>, SourceError> {
        if self.peek().await?.is_none() {
            return Ok(None);
        }
        let place = Place::of(self.at);
        self.at += 1;
        Ok(self.page.as_ref().and_then(|page| page.entries.get(place.within)))
    }
}
