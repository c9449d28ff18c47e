//! The few pages of a catalog that were read last.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::page::{PAGE_ENTRIES, StoredPage};
use crate::limits::CATALOG_PAGES_KEPT;

/// At most [`CATALOG_PAGES_KEPT`] pages, last used first.
#[derive(Debug, Default)]
pub(super) struct PageCache(Mutex<VecDeque<Arc<StoredPage>>>);

impl PageCache {
    pub(super) fn get(&self, number: u64) -> Option<Arc<StoredPage>> {
        let mut pages = self.lock();
        let first = number * PAGE_ENTRIES as u64;
        let place = pages.iter().position(|page| page.first == first)?;
        let page = pages.remove(place)?;
        pages.push_front(page.clone());
        Some(page)
    }

    pub(super) fn keep(&self, page: Arc<StoredPage>) {
        let mut pages = self.lock();
        pages.retain(|kept| kept.first != page.first);
        pages.push_front(page);
        pages.truncate(CATALOG_PAGES_KEPT);
    }

    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<StoredPage>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
