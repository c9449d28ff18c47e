//! The staging's part: a listing begins, entries are taken, and what is to be sealed is all there.

use std::sync::Arc;

use peerstream_recovery::{Admitted, Misuse, SourceId};
use peerstream_types::{ChunkIndex, ChunkRange, Entry, ManifestHeader, Ordinal, Span};

use super::levels::{self, Column, Listed};
use super::parts::{self, Content, Mark};
use super::world::{Flaw, Owed, Scene};
use super::{Plant, RecoveryWorld};

impl Scene {
    /// A listing begins: what was taken before is of no use, and what the store still has to say of it is
    /// dropped.
    pub(super) fn begin(
        &mut self,
        model: &RecoveryWorld,
        header: &ManifestHeader,
        joined: &[ManifestHeader],
    ) {
        // Whoever is listed anew owes nothing, and nothing is held against it.
        self.asked.clear();
        self.tokens.clear();
        if model.plant != Some(Plant::Undropped) {
            self.owed.remove(&Owed::Admit);
        }
        let offered = self.offered(model);
        let begun: Vec<Column> = if joined.is_empty() {
            offered.iter().find(|column| column.peer.offer() == *header).into_iter().cloned().collect()
        } else {
            let is_begun = |column: &&Column| joined.contains(&column.peer.offer());
            offered.iter().filter(is_begun).cloned().collect()
        };
        let agreement = self.agreement(model);
        let candidates = model.peers.len() as u32;
        let awaits_offers = self.owed.iter().any(|owed| matches!(owed, Owed::Offer(_)));
        let fits = joined.is_empty() || joined.len() == begun.len();
        if !fits || !levels::may_begin(&agreement, candidates, &offered, &begun, awaits_offers) {
            self.flag(Flaw::Level);
        }
        self.listed = Listed { columns: begun, in_force: [self.level].into(), ..Listed::default() };
    }

    /// Who has offered and is open, by manifest; one that is not sealed is alone.
    fn offered(&self, model: &RecoveryWorld) -> Vec<Column> {
        let mut columns: Vec<Column> = Vec::new();
        for open in self.sources.values().filter(|open| open.offered) {
            let peer = model.peers[open.index];
            let is_same =
                |column: &&mut Column| peer.sealed && column.peer.sealed && column.peer.has == peer.has;
            match columns.iter_mut().find(is_same) {
                Some(column) => _ = column.members.insert(open.index),
                None => columns.push(Column {
                    peer,
                    members: [open.index].into(),
                    is_listed: false,
                    is_dismissed: false,
                }),
            }
        }
        columns
    }

    /// A source that offers what is listed says so, too.
    pub(super) fn confirms(&mut self, model: &RecoveryWorld, index: usize) {
        let peer = model.peers[index];
        let same = |column: &&mut Column| {
            peer.sealed && (column.peer.sealed || column.is_listed) && column.peer.has == peer.has
        };
        if let Some(column) = self.listed.columns.iter_mut().find(same) {
            column.members.insert(index);
        }
    }

    /// A source has listed to the end.
    pub(super) fn has_listed(&mut self, index: usize) {
        let columns = self.listed.columns.iter_mut().filter(|column| column.members.contains(&index));
        columns.for_each(|column| column.is_listed = true);
    }

    /// The word of a source that was called wrong, and of those who say the same, is of no use any more.
    pub(super) fn dismiss(&mut self, index: usize) {
        let columns = self.listed.columns.iter_mut().filter(|column| column.members.contains(&index));
        columns.for_each(|column| column.is_dismissed = true);
    }

    /// The store is asked to take entries: in order, and none that the level does not allow.
    pub(super) fn admit(&mut self, model: &RecoveryWorld, entries: &[Arc<Entry>]) {
        if !self.owed.insert(Owed::Admit) && model.plant != Some(Plant::Undropped) {
            self.flag(Flaw::Misuse);
        }
        let marks: Vec<Mark> = entries.iter().map(|entry| Mark::of(entry)).collect();
        let due = self.listed.rows.len() as u64..;
        if due.zip(entries).any(|(at, entry)| entry.ordinal.0 != at) {
            self.flag(Flaw::Named);
        }
        for (at, mark) in marks.iter().enumerate() {
            let before = self.listed.rows.iter().chain(&marks[..at]);
            let is_twice = before.filter(|other| other.0 == mark.0).any(|other| {
                other == mark || model.agreement.kind != peerstream_types::DatasetKind::Mergeable
            });
            if is_twice || !self.listed.may_take(&model.agreement, *mark, |peer| self.is_open(peer)) {
                self.flag(Flaw::Level);
            }
        }
        self.listed.batch = marks;
    }

    fn is_open(&self, peer: usize) -> bool {
        self.sources.values().any(|open| open.index == peer)
    }

    /// The store has taken what it was asked to, and says what it has of it already; or it cannot.
    pub(super) fn admitted(&mut self, model: &RecoveryWorld, unusable: Option<usize>) -> Result<(), Misuse> {
        if self.listed.batch.iter().any(|mark| self.unkept.contains(mark)) {
            return self.job.handle_admit_refused(self.now, "no such key here");
        }
        let first = self.listed.rows.len();
        let rows =
            self.listed.batch.iter().enumerate().map(|(at, mark)| (Ordinal((first + at) as u64), *mark));
        let says = model.plant != Some(Plant::Forgetful);
        let held = |mark: Mark| {
            let held = mark.contents().filter(|content| says && self.staged.contains(content));
            held.map(|(_, chunk)| ChunkRange::one(chunk)).collect()
        };
        let held = rows.clone().map(|(ordinal, mark)| (ordinal, held(mark))).collect();
        let unusable = rows.skip(unusable.unwrap_or(usize::MAX)).take(1);
        let unusable = unusable.map(|(ordinal, _)| (ordinal, "nothing to verify it against".to_owned()));
        let answer = Admitted { held, unusable: unusable.collect() };
        let batch = std::mem::take(&mut self.listed.batch);
        self.listed.rows.extend(batch);
        self.job.handle_admitted(self.now, answer)
    }

    /// A copy is done without.
    pub(super) fn leave_out(&mut self, model: &RecoveryWorld, ordinal: Ordinal) {
        if model.plant != Some(Plant::Hoarder) {
            self.listed.left_out.insert(ordinal.0 as usize);
        }
    }

    /// Whether a source has, under the ordinal that it is asked for, what is here under another.
    pub(super) fn is_named(
        &self,
        model: &RecoveryWorld,
        source: SourceId,
        here: Ordinal,
        there: Ordinal,
    ) -> bool {
        let there = if model.plant == Some(Plant::Renamed) { here } else { there };
        let has = self.peer(model, source).has.get(there.0 as usize).copied();
        has.is_some() && has == self.listed.row(here.0 as usize)
    }

    /// What a chunk is that was asked for.
    pub(super) fn content(&self, ordinal: Ordinal, chunk: ChunkIndex) -> Option<Content> {
        Some((self.listed.row(ordinal.0 as usize)?, chunk))
    }

    /// The span of one chunk, as the job names it.
    pub(super) fn span_of(&self, ordinal: Ordinal, chunk: ChunkIndex) -> Span {
        let is_single = self.listed.row(ordinal.0 as usize).is_none_or(|mark| mark.chunks() == 1);
        if is_single { Span::entry(ordinal) } else { Span::chunk(ordinal, chunk) }
    }

    /// Everything that the level asks for is there, and nothing else is called so.
    pub(super) fn seal(&mut self, model: &RecoveryWorld, header: &ManifestHeader) {
        let is_whole =
            self.listed.wanted().flat_map(Mark::contents).all(|content| self.staged.contains(&content));
        let is_right = match self.listed.columns.as_slice() {
            [one] => *header == one.peer.header(),
            _ => header.digest.is_none() && header.counts == parts::counts(&self.listed.rows),
        };
        if !is_whole || !is_right {
            self.flag(Flaw::Hollow);
        }
        if !self.listed.may_seal(&model.agreement, |peer| self.is_open(peer)) {
            self.flag(Flaw::Level);
        }
        self.owed.insert(Owed::Seal);
    }
}
