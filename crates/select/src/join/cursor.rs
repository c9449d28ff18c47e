//! How far one replica's inventory is joined, and the pages of it that are held.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;

use peerstream_types::{Entry, PageToken};

use super::IDLE_PAGES_MAX;
use super::page::{Page, PageFault};

/// What stands next in a replica's inventory.
#[derive(Debug)]
pub(super) enum Head<'a> {
    /// This entry, and no later report of it can come that would count.
    Entry(&'a Arc<Entry>),
    /// A page is needed to say.
    Awaited,
    /// Nothing: it was listed to its end.
    Ended,
}

/// Pages hold no key twice: of repeats, [`Cursor::take`] keeps the latest.
#[derive(Debug, Clone, Default)]
pub(super) struct Cursor {
    has_ended: bool,
    page: Vec<Arc<Entry>>,
    at: usize,
    ahead: VecDeque<Vec<Arc<Entry>>>,
    /// The last entry that was listed, whether it is still held or not.
    last: Option<Arc<Entry>>,
    token: PageToken,
    asked: bool,
    /// Pages in a row that did not move on.
    idle_pages: u32,
}

impl Cursor {
    pub(super) fn current(&self) -> Option<&Arc<Entry>> {
        self.page.get(self.at)
    }

    pub(super) fn head(&self) -> Head<'_> {
        match self.current() {
            // Mutable state is listed before sealed state, so a sealed report is the last of its key.
            Some(entry) if entry.digest.is_none() && self.held() == 1 && !self.has_ended => Head::Awaited,
            Some(entry) => Head::Entry(entry),
            None if self.has_ended => Head::Ended,
            None => Head::Awaited,
        }
    }

    pub(super) fn held(&self) -> usize {
        self.page.len() - self.at + self.ahead.iter().map(Vec::len).sum::<usize>()
    }

    pub(super) fn wants(&self, pages_ahead: usize) -> bool {
        !self.has_ended && !self.asked && self.ahead.len() < pages_ahead
    }

    pub(super) fn ask(&mut self) -> PageToken {
        self.asked = true;
        self.token.clone()
    }

    pub(super) fn pass(&mut self) {
        self.at += 1;
        self.turn_page();
    }

    /// Takes a page; says how many repeated reports it let go. `handed_on`: the head was given out and
    /// not passed yet.
    pub(super) fn take(&mut self, page: Page, handed_on: bool, entries_max: usize) -> Result<u64, PageFault> {
        let Page { token, mut entries, next } = page;
        let repeats_inside = self.check(&token, &entries, next.as_ref(), entries_max)?;
        let idle = self.is_idle(&entries);
        let before = entries.len();
        if repeats_inside {
            keep_latest(&mut entries);
        }
        let mut repeats = (before - entries.len()) as u64;
        repeats += u64::from(self.join_border(&mut entries, handed_on));
        self.asked = false;
        self.idle_pages = if idle { self.idle_pages + 1 } else { 0 };
        if let Some(last) = entries.last() {
            self.last = Some(Arc::clone(last));
            self.ahead.push_back(entries);
        }
        match next {
            Some(next) => self.token = next,
            None => self.has_ended = true,
        }
        self.turn_page();
        Ok(repeats)
    }

    /// Whether the page may be taken; says whether it repeats keys.
    fn check(
        &self,
        token: &PageToken,
        entries: &[Arc<Entry>],
        next: Option<&PageToken>,
        entries_max: usize,
    ) -> Result<bool, PageFault> {
        if !self.asked {
            return Err(PageFault::Unasked);
        }
        if *token != self.token {
            return Err(PageFault::OutOfOrder { asked: self.token.clone(), got: token.clone() });
        }
        if entries.len() > entries_max {
            return Err(PageFault::TooLong(entries.len()));
        }
        if next == Some(token) {
            return Err(PageFault::SameToken(token.clone()));
        }
        if next.is_some() && self.idle_pages + 1 >= IDLE_PAGES_MAX && self.is_idle(entries) {
            return Err(PageFault::NoProgress);
        }
        let went_back = |before: &Arc<Entry>, entry: &Arc<Entry>| PageFault::KeyWentBack {
            before: before.key.clone(),
            key: entry.key.clone(),
        };
        if let (Some(last), Some(first)) = (&self.last, entries.first())
            && first.key < last.key
        {
            return Err(went_back(last, first));
        }
        let mut repeats = false;
        for (before, entry) in entries.iter().zip(entries.iter().skip(1)) {
            match before.key.cmp(&entry.key) {
                Ordering::Less => {}
                Ordering::Equal => repeats = true,
                Ordering::Greater => return Err(went_back(before, entry)),
            }
        }
        Ok(repeats)
    }

    /// Whether a page does not move on: it is empty, or repeats the last key only.
    fn is_idle(&self, entries: &[Arc<Entry>]) -> bool {
        match (&self.last, entries.last()) {
            (Some(before), Some(last)) => last.key <= before.key,
            (None, Some(_)) => false,
            (_, None) => true,
        }
    }

    /// If a page begins with the key that the one before ended with, the later report counts, unless
    /// the entry was handed on. Says whether it was repeated.
    fn join_border(&mut self, entries: &mut Vec<Arc<Entry>>, handed_on: bool) -> bool {
        let repeated =
            matches!((&self.last, entries.first()), (Some(last), Some(first)) if last.key == first.key);
        if !repeated {
            return false;
        }
        if self.held() == 0 || (self.held() == 1 && handed_on) {
            entries.remove(0);
            return true;
        }
        match self.ahead.back_mut() {
            Some(newest) => {
                newest.pop();
                if newest.is_empty() {
                    self.ahead.pop_back();
                }
            }
            None => {
                self.page.pop();
            }
        }
        true
    }

    fn turn_page(&mut self) {
        if self.at >= self.page.len() {
            self.page = self.ahead.pop_front().unwrap_or_default();
            self.at = 0;
        }
    }
}

/// Of reports with the same key, the latest stays.
fn keep_latest(entries: &mut Vec<Arc<Entry>>) {
    let mut kept = 0;
    for index in 0..entries.len() {
        if kept > 0 && entries[kept - 1].key == entries[index].key {
            kept -= 1;
        }
        entries.swap(kept, index);
        kept += 1;
    }
    entries.truncate(kept);
}
