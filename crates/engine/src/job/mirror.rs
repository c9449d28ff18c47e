//! The listing of a source of which large parts are equal to what another source lists: those entries
//! are taken from there, and only the rest is asked for.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use peerstream_select::Part;
use peerstream_types::{Entry, EntryKey, Ordinal};
use peerstream_wire::limits::PAGE_ENTRIES_MAX;

/// Listings shorter than this, in entries, are not compared first: two pages take no more round trips.
pub(super) const ENTRIES_MIN: u64 = 2 * PAGE_ENTRIES_MAX as u64;
/// Most entries of the other listing that are kept for this one, which is joined with it page by page. If it
/// is that far behind, the rest of it is asked for.
const HEARD_MAX: usize = 8 * PAGE_ENTRIES_MAX;

/// How long a page waits for the other listing before the source is asked for it: that one may wait for
/// content, or for this one.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// So often it is waited in vain before the other listing is not followed any more.
const WAITS_MAX: u32 = 3;

/// What comes next in the listing.
#[derive(Debug, PartialEq)]
pub(super) enum Due {
    /// These, which the other source has listed, under the ordinals that they have here.
    Entries(Vec<Entry>),
    /// The source has to be asked for at most `count` entries from `first` on.
    Ask { first: Ordinal, count: u32 },
    /// It is not known yet, or the other source has to list them first.
    Wait,
}

/// A listing that follows another one.
#[derive(Debug)]
pub(super) struct Mirror {
    /// What is left of the listing; `None` until the two are compared.
    parts: Option<VecDeque<Part>>,
    /// The entry that is due, and the key before it.
    next: Ordinal,
    last: Option<EntryKey>,
    /// What the other one has listed and is not passed.
    heard: VecDeque<Arc<Entry>>,
    has_ended: bool,
    /// Nothing of the other listing is to be used any more.
    is_lost: bool,
    /// A page was asked for, and had to wait.
    pub(super) is_awaited: bool,
    /// It was waited in vain: the source is asked for the next page.
    goes_ahead: bool,
    waits: u32,
}

impl Mirror {
    /// The two are compared; what the other one lists meanwhile is kept.
    pub(super) fn new() -> Self {
        Self {
            parts: None,
            next: Ordinal(0),
            last: None,
            heard: VecDeque::new(),
            has_ended: false,
            is_lost: false,
            is_awaited: true,
            goes_ahead: false,
            waits: 0,
        }
    }

    /// They were compared. Says whether it is of use: a quarter of the entries is equal.
    pub(super) fn compared(&mut self, parts: Vec<Part>) -> bool {
        let entries = |parts: &mut dyn Iterator<Item = &Part>| parts.map(|part| part.entries).sum::<u64>();
        let equal = entries(&mut parts.iter().filter(|part| part.is_equal));
        let is_of_use = equal >= entries(&mut parts.iter()) / 4;
        self.parts = Some(parts.into());
        is_of_use
    }

    /// The other source has listed these.
    pub(super) fn hear(&mut self, entries: &[Arc<Entry>], is_last: bool) {
        if self.is_lost {
            return;
        }
        self.heard.extend(entries.iter().cloned());
        self.has_ended = is_last;
        if self.heard.len() > HEARD_MAX {
            self.lose();
        }
    }

    /// The other source is gone, or begins anew.
    pub(super) fn lose(&mut self) {
        self.is_lost = true;
        self.heard.clear();
    }

    /// These entries of this listing were taken.
    pub(super) fn took(&mut self, entries: &[Arc<Entry>]) {
        self.next.0 += entries.len() as u64;
        self.last = entries.last().map(|entry| entry.key.clone()).or(self.last.take());
        self.goes_ahead = false;
    }

    /// The entry that is due: the name of a wait.
    pub(super) fn next(&self) -> Ordinal {
        self.next
    }

    /// The page that was due at `since` was waited for in vain. Says whether it still is.
    pub(super) fn waited(&mut self, since: Ordinal) -> bool {
        let is_in_vain = self.is_awaited && self.parts.is_some() && self.next == since;
        if is_in_vain {
            self.waits += 1;
            self.goes_ahead = true;
            if self.waits >= WAITS_MAX {
                self.lose();
            }
        }
        is_in_vain
    }

    /// What comes next. Not to be asked after the last entry.
    pub(super) fn due(&mut self) -> Due {
        let Some(parts) = &mut self.parts else { return Due::Wait };
        let is_passed = |entry: &mut Arc<Entry>| self.last.as_ref().is_some_and(|last| entry.key <= *last);
        while self.heard.pop_front_if(is_passed).is_some() {}
        while let Some(part) = parts.front_mut() {
            let left = (part.first.0 + part.entries).saturating_sub(self.next.0);
            if left == 0 {
                parts.pop_front();
                continue;
            }
            let count = u32::try_from(left).unwrap_or(u32::MAX).min(PAGE_ENTRIES_MAX as u32);
            if !part.is_equal {
                while self.heard.pop_front_if(|entry| !part.range.is_before(&entry.key)).is_some() {}
            }
            if !part.is_equal || self.is_lost || self.goes_ahead {
                return Due::Ask { first: self.next, count };
            }
            let is_before =
                |entry: &mut Arc<Entry>| part.range.start.as_ref().is_some_and(|start| entry.key < *start);
            while self.heard.pop_front_if(is_before).is_some() {}
            let mut entries = Vec::new();
            let ordinals = self.next.0..self.next.0 + u64::from(count);
            for ordinal in ordinals {
                let Some(entry) = self.heard.pop_front_if(|entry| part.range.contains(&entry.key)) else {
                    break;
                };
                entries.push(Entry { ordinal: Ordinal(ordinal), ..(*entry).clone() });
            }
            if !entries.is_empty() {
                return Due::Entries(entries);
            }
            if self.heard.is_empty() && !self.has_ended {
                return Due::Wait;
            }
            // The other one has passed it with fewer entries: one of the trees was not true.
            part.is_equal = false;
        }
        // Whoever has fewer entries than its tree is asked, and found out.
        Due::Ask { first: self.next, count: 1 }
    }
}

#[cfg(test)]
mod tests {
    use peerstream_select::KeyRange;
    use peerstream_types::{Codec, Digest, EntryKey, EntryKind};

    use super::*;

    fn key(number: u32) -> EntryKey {
        EntryKey::new(number.to_be_bytes()).unwrap()
    }

    fn entry(ordinal: u64, number: u32) -> Arc<Entry> {
        Arc::new(Entry {
            ordinal: Ordinal(ordinal),
            key: key(number),
            len: 1,
            digest: Some(Digest::Blake3([7; 32])),
            kind: EntryKind::Block,
            codec: Codec::Plain,
            metadata: Vec::new(),
        })
    }

    fn part(first: u64, entries: u64, keys: (u32, u32), is_equal: bool) -> Part {
        let range = KeyRange { start: Some(key(keys.0)), end: Some(key(keys.1)) };
        Part { range, first: Ordinal(first), entries, is_equal }
    }

    /// Keys 0 to 9 differ, of which this listing has three; 10 to 19 are equal; 20 to 29 differ.
    fn mirror() -> Mirror {
        let mut mirror = Mirror::new();
        assert_eq!(mirror.due(), Due::Wait, "it is not compared yet");
        let parts = [part(0, 3, (0, 10), false), part(3, 4, (10, 20), true), part(7, 2, (20, 30), false)];
        assert!(mirror.compared(parts.to_vec()));
        mirror
    }

    fn ask(first: u64, count: u32) -> Due {
        Due::Ask { first: Ordinal(first), count }
    }

    fn first() -> Vec<Arc<Entry>> {
        vec![entry(0, 0), entry(1, 4), entry(2, 9)]
    }

    fn equal() -> Vec<Arc<Entry>> {
        vec![entry(9, 10), entry(10, 13), entry(11, 16), entry(12, 19)]
    }

    #[test]
    fn only_what_differs_is_asked_for() {
        let mut mirror = mirror();
        mirror.hear(&[entry(7, 1), entry(8, 2)], false);
        assert_eq!(mirror.due(), ask(0, 3));
        mirror.took(&first()[..2]);
        assert_eq!(mirror.due(), ask(2, 1), "fewer came than were asked for");
        mirror.took(&first()[2..]);
        assert_eq!(mirror.due(), Due::Wait, "the other one is not there yet");
        mirror.hear(&equal()[..3], false);
        let Due::Entries(entries) = mirror.due() else { panic!("they are there") };
        let here: Vec<_> = entries.iter().map(|entry| (entry.ordinal.0, entry.key.clone())).collect();
        assert_eq!(here, [(3, key(10)), (4, key(13)), (5, key(16))]);
        mirror.took(&equal()[..3]);
        assert_eq!(mirror.due(), Due::Wait);
        mirror.hear(&[equal()[3].clone(), entry(13, 21)], true);
        assert!(matches!(mirror.due(), Due::Entries(entries) if entries.len() == 1));
        mirror.took(&equal()[3..]);
        assert_eq!(mirror.due(), ask(7, 2));
    }

    #[test]
    fn without_the_other_one_the_rest_is_asked_for() {
        let mut mirror = mirror();
        mirror.took(&first());
        mirror.hear(&equal(), false);
        mirror.lose();
        mirror.hear(&equal(), true);
        assert_eq!(mirror.due(), ask(3, 4));
    }

    #[test]
    fn a_part_that_is_not_as_the_tree_says_is_asked_for() {
        let mut mirror = mirror();
        mirror.took(&first());
        mirror.hear(&equal()[..2], false);
        assert!(matches!(mirror.due(), Due::Entries(entries) if entries.len() == 2));
        mirror.took(&equal()[..2]);
        mirror.hear(&[entry(13, 21)], false);
        assert_eq!(mirror.due(), ask(5, 2), "the other one has passed it");
        let mut mirror = self::mirror();
        mirror.took(&first());
        mirror.hear(&equal()[..2], true);
        assert!(matches!(mirror.due(), Due::Entries(_)));
        mirror.took(&equal()[..2]);
        assert_eq!(mirror.due(), ask(5, 2), "the other one has ended");
    }

    /// The other listing may wait for this one, or for content: then the source is asked.
    #[test]
    fn a_wait_in_vain_goes_ahead() {
        let mut mirror = mirror();
        mirror.took(&first());
        assert_eq!(mirror.due(), Due::Wait);
        mirror.is_awaited = true;
        assert!(!mirror.waited(Ordinal(2)), "that page has come");
        assert!(mirror.waited(Ordinal(3)));
        assert_eq!(mirror.due(), ask(3, 4));
        mirror.took(&equal()[..2]);
        mirror.hear(&equal()[..3], false);
        let Due::Entries(entries) = mirror.due() else { panic!("one is new") };
        assert_eq!((entries.len(), entries[0].ordinal, entries[0].key.clone()), (1, Ordinal(5), key(16)));
        mirror.took(&equal()[2..3]);
        (1..WAITS_MAX).for_each(|_| assert!(mirror.waited(Ordinal(6))));
        mirror.hear(&equal()[3..], true);
        assert_eq!(mirror.due(), ask(6, 1), "it is not followed any more");
    }

    /// Where the listings differ, what the other one lists is of no use here.
    #[test]
    fn a_long_difference_keeps_nothing() {
        let mut mirror = Mirror::new();
        assert!(mirror.compared(vec![
            part(0, 90_000, (0, 100_000), false),
            part(90_000, 90_000, (100_000, 200_000), true)
        ]));
        for page in 0..20 {
            let page: Vec<_> =
                (0..4096).map(|at| entry(page * 4096 + at, (page * 4096 + at) as u32)).collect();
            mirror.hear(&page, false);
            assert!(matches!(mirror.due(), Due::Ask { .. }));
            assert!(mirror.heard.is_empty() && !mirror.is_lost);
            mirror.took(&page);
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut mirror = mirror();
        mirror.took(&first());
        let many: Vec<_> = (0..=HEARD_MAX as u64).map(|number| entry(number, 11)).collect();
        mirror.hear(&many, false);
        assert!(mirror.heard.is_empty());
        assert_eq!(mirror.due(), ask(3, 4));
    }

    #[test]
    fn little_that_is_equal_is_of_no_use() {
        let parts =
            |equal| vec![part(0, 100 - equal, (0, 10), false), part(100 - equal, equal, (10, 20), true)];
        assert!(!Mirror::new().compared(parts(24)));
        assert!(Mirror::new().compared(parts(25)));
    }
}
