//! Which outlines are asked for, and how long they are kept: the top of an entry of several groups
//! first, then its groups one after the other, each shortly before its chunks.

use peerstream_types::{ChunkSize, Entry, GroupIndex, Ordinal};

use super::{Finished, Group, Place, Top, Unfinished, Wanted};
use crate::OutlinePart;

impl Wanted {
    /// The next part of an outline to ask for, while less than `ahead_bytes` can be asked for without
    /// it, and at most `values_max` chaining values are kept. What is needed first is asked for in
    /// any case if nothing else is under way that could make room.
    pub(crate) fn peek_outline(&self, ahead_bytes: u64, values_max: u64) -> Option<(Ordinal, OutlinePart)> {
        let ordinal = *self.outlines_due.first()?;
        let unfinished = self.entries.get(&ordinal)?;
        let part = match unfinished.top {
            Top::Due => OutlinePart::Top,
            Top::Needless | Top::Asked | Top::Had => OutlinePart::Group(unfinished.rest.peek()?.group()),
        };
        let after = self.outline_values.saturating_add(self.values_of(&unfinished.entry, part));
        let idle = self.groups.is_empty() && self.outlines_asked.is_empty();
        (self.ahead_bytes < ahead_bytes && (idle || after <= values_max)).then_some((ordinal, part))
    }

    /// Asks for the part that [`Wanted::peek_outline`] showed.
    pub(crate) fn ask_outline(&mut self, ordinal: Ordinal, part: OutlinePart) {
        let Some(unfinished) = self.entries.get_mut(&ordinal) else { return };
        let entry = unfinished.entry.clone();
        let bytes = match part {
            OutlinePart::Top => {
                unfinished.top = Top::Asked;
                self.outlines_due.remove(&ordinal);
                behind_top(unfinished, self.size)
            }
            OutlinePart::Group(group) => {
                let end = self.size.chunks_of(group, entry.len).end();
                let fresh = unfinished.rest.take_before(end);
                if unfinished.rest.is_empty() {
                    self.outlines_due.remove(&ordinal);
                }
                let bytes = fresh.bytes(self.size, entry.len);
                let open = fresh.count();
                self.groups.insert((ordinal, group), Group { fresh, open });
                bytes
            }
        };
        self.ahead_bytes = self.ahead_bytes.saturating_add(bytes);
        self.outline_values = self.outline_values.saturating_add(self.values_of(&entry, part));
        self.outlines_asked.insert((ordinal, part));
    }

    pub(crate) fn awaits_outlines(&self) -> bool {
        !self.outlines_asked.is_empty()
    }

    /// A part of an outline was answered; `false` if it was not asked for.
    pub(crate) fn outline_answered(&mut self, ordinal: Ordinal, part: OutlinePart, good: bool) -> bool {
        if !self.outlines_asked.remove(&(ordinal, part)) {
            return false;
        }
        match part {
            OutlinePart::Top => self.top_answered(ordinal, good),
            OutlinePart::Group(group) if good => {
                self.askable.insert(self.columns(ordinal), (ordinal, group));
            }
            OutlinePart::Group(group) => self.group_missed((ordinal, group)),
        }
        true
    }

    fn top_answered(&mut self, ordinal: Ordinal, good: bool) {
        let Some(unfinished) = self.entries.get_mut(&ordinal) else {
            return;
        };
        unfinished.top = if good { Top::Had } else { Top::Due };
        self.ahead_bytes = self.ahead_bytes.saturating_sub(behind_top(unfinished, self.size));
        self.outlines_due.insert(ordinal);
        if !good {
            let entry = unfinished.entry.clone();
            self.release(&entry, OutlinePart::Top);
        }
    }

    fn group_missed(&mut self, place: Place) {
        let (Some(group), Some(unfinished)) = (self.groups.remove(&place), self.entries.get_mut(&place.0))
        else {
            return;
        };
        let entry = unfinished.entry.clone();
        self.ahead_bytes = self.ahead_bytes.saturating_sub(group.fresh.bytes(self.size, entry.len));
        unfinished.rest.put_back(group.fresh);
        self.outlines_due.insert(place.0);
        self.release(&entry, OutlinePart::Group(place.1));
    }

    /// Whether a part of an outline is asked, or kept for what is still to come.
    pub(crate) fn needs_outline(&self, ordinal: Ordinal, part: OutlinePart) -> bool {
        match part {
            OutlinePart::Top => {
                let top = self.entries.get(&ordinal).map(|unfinished| unfinished.top);
                matches!(top, Some(Top::Asked | Top::Had))
            }
            OutlinePart::Group(group) => self.groups.contains_key(&(ordinal, group)),
        }
    }

    /// Whether the entry has more groups than one.
    pub(crate) fn has_groups(&self, ordinal: Ordinal) -> bool {
        self.entry(ordinal).is_some_and(|entry| entry.groups(self.size) > 1)
    }

    /// All of a group whose outline is not asked or kept is left to another source.
    pub(crate) fn set_aside_group(&mut self, ordinal: Ordinal, group: GroupIndex) -> Option<Finished> {
        let unfinished = self.entries.get_mut(&ordinal)?;
        let range = self.size.chunks_of(group, unfinished.entry.len);
        let before = unfinished.rest.take_before(range.first.0);
        let left = unfinished.rest.take_before(range.end()).count();
        unfinished.rest.put_back(before);
        unfinished.short = true;
        if unfinished.rest.is_empty() {
            self.outlines_due.remove(&ordinal);
        }
        self.close(ordinal, left)
    }

    /// Nothing fresh of the groups of an entry is asked for; says how many chunks that are.
    pub(super) fn leave_groups(&mut self, ordinal: Ordinal) -> u64 {
        let Some(entry) = self.entry(ordinal).cloned() else { return 0 };
        let places = (ordinal, GroupIndex(0))..=(ordinal, GroupIndex(u64::MAX));
        let places: Vec<Place> = self.groups.range(places).map(|(place, _)| *place).collect();
        let mut left = 0;
        for place in places {
            let Some(group) = self.groups.get_mut(&place) else { continue };
            let fresh = group.fresh.count();
            self.ahead_bytes = self.ahead_bytes.saturating_sub(group.fresh.bytes(self.size, entry.len));
            group.fresh.clear();
            self.askable.remove(self.columns(ordinal), place);
            self.outlines_asked.remove(&(ordinal, OutlinePart::Group(place.1)));
            self.close_in_group(place, fresh);
            left += fresh;
        }
        left
    }

    /// Nothing more of the outline of an entry is asked for.
    pub(super) fn forget_top(&mut self, ordinal: Ordinal) {
        self.outlines_due.remove(&ordinal);
        if self.outlines_asked.remove(&(ordinal, OutlinePart::Top)) {
            self.top_answered(ordinal, false);
            self.outlines_due.remove(&ordinal);
        }
    }

    /// Chunks of a group came or are left; its outline is needed no more after the last one.
    pub(super) fn close_in_group(&mut self, place: Place, chunks: u64) {
        let Some(group) = self.groups.get_mut(&place) else { return };
        group.open = group.open.saturating_sub(chunks);
        if group.open > 0 {
            return;
        }
        self.groups.remove(&place);
        if let Some(entry) = self.entry(place.0).cloned() {
            self.release(&entry, OutlinePart::Group(place.1));
        }
    }

    pub(super) fn release(&mut self, entry: &Entry, part: OutlinePart) {
        self.outline_values = self.outline_values.saturating_sub(self.values_of(entry, part));
    }

    fn values_of(&self, entry: &Entry, part: OutlinePart) -> u64 {
        match part {
            OutlinePart::Top => entry.groups(self.size),
            OutlinePart::Group(group) => u64::from(self.size.chunks_of(group, entry.len).count),
        }
    }
}

/// Fresh bytes that the top of an entry makes way for at first: those of one group.
fn behind_top(unfinished: &Unfinished, size: ChunkSize) -> u64 {
    unfinished.rest.bytes(size, unfinished.entry.len).min(size.group_bytes())
}
