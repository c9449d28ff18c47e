//! Where the listing of one manifest stands, and whether its pages add up.

use peerstream_types::{EntryCounts, ManifestHeader, PageToken};

use crate::PageIn;
use crate::config::PAGE_ENTRIES_MAX;

#[derive(Debug, Clone)]
enum Cursor {
    Next(PageToken),
    Asked(PageToken),
    Done,
}

/// A listing from the start to the sealed header.
///
/// Tokens belong to the source that made them, so another source is listed from the start: what is held
/// already costs a line of the listing and no data.
#[derive(Debug, Clone)]
pub(crate) struct Listing {
    cursor: Cursor,
    listed: EntryCounts,
    failures: u32,
}

impl Listing {
    pub(crate) fn new() -> Self {
        Self { cursor: Cursor::Next(PageToken::START), listed: EntryCounts::default(), failures: 0 }
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self.cursor, Cursor::Done)
    }

    pub(crate) fn is_asked(&self) -> bool {
        matches!(self.cursor, Cursor::Asked(_))
    }

    /// The token of the page to ask for, if one is due.
    pub(crate) fn ask(&mut self) -> Option<PageToken> {
        match &self.cursor {
            Cursor::Next(token) => {
                let token = token.clone();
                self.cursor = Cursor::Asked(token.clone());
                Some(token)
            }
            Cursor::Asked(_) | Cursor::Done => None,
        }
    }

    /// The page did not come and may be asked for again.
    pub(crate) fn give_back(&mut self) {
        if let Cursor::Asked(token) = &self.cursor {
            self.cursor = Cursor::Next(token.clone());
        }
    }

    /// The page did not come; counts an attempt and says whether one is left of `limit`.
    pub(crate) fn fail(&mut self, limit: u32) -> bool {
        self.give_back();
        self.failures += 1;
        self.failures < limit
    }

    /// Takes the asked page if it fits the ones before it and the header that was offered.
    ///
    /// # Errors
    ///
    /// What does not add up: the source is at fault.
    pub(crate) fn take(&mut self, page: &PageIn, offered: &ManifestHeader) -> Result<(), String> {
        if page.entries.len() > PAGE_ENTRIES_MAX {
            return Err(format!("a page of {} entries", page.entries.len()));
        }
        let mut listed = self.listed;
        for entry in &page.entries {
            if entry.ordinal.0 != listed.entries {
                return Err(format!("entry {} where #{} is due", entry.ordinal, listed.entries));
            }
            listed.entries += 1;
            listed.bytes = listed.bytes.saturating_add(entry.len);
        }
        let promised = offered.counts;
        if offered.is_sealed() && (listed.entries > promised.entries || listed.bytes > promised.bytes) {
            return Err(format!("it lists more than its {} entries", promised.entries));
        }
        let cursor = match (&page.next, &page.sealed) {
            (Some(_), None) if page.entries.is_empty() => return Err("an empty page before the end".into()),
            (Some(next), None) => Cursor::Next(next.clone()),
            (None, Some(sealed)) => {
                check_seal(sealed, offered, listed)?;
                Cursor::Done
            }
            (None, None) => return Err("it ends without a seal".into()),
            (Some(_), Some(_)) => return Err("it goes on after its seal".into()),
        };
        (self.cursor, self.listed, self.failures) = (cursor, listed, 0);
        Ok(())
    }
}

fn check_seal(sealed: &ManifestHeader, offered: &ManifestHeader, listed: EntryCounts) -> Result<(), String> {
    if !sealed.is_sealed() {
        return Err("its last header has no digest".into());
    }
    if sealed.counts != listed {
        let (has, says) = (listed.entries, sealed.counts.entries);
        return Err(format!("{has} entries were listed, its seal says {says}, or their bytes differ"));
    }
    if sealed.chunk_size != offered.chunk_size || (offered.is_sealed() && sealed != offered) {
        return Err("its seal differs from the offer".into());
    }
    Ok(())
}
