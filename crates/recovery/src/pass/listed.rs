//! How what the sources list comes into a pass: pages, the join, and the store's word on it.

use std::collections::BTreeMap;

use peerstream_types::{ChunkRange, Ordinal};

use super::{Context, Ended, Pass};
use crate::agreement::Agreement;
use crate::config::clip;
use crate::roll::{Refused, Told};
use crate::row::Row;
use crate::{Action, Admitted, CloseReason, Gap, PageIn, SourceId};

impl Pass {
    /// Takes a page in.
    ///
    /// # Errors
    ///
    /// The source's manifest does not add up.
    pub(crate) fn page(
        &mut self,
        context: &mut Context<'_>,
        source: SourceId,
        page: PageIn,
    ) -> Result<(), Ended> {
        let Some(column) = self.roll.listed_by(source) else { return Ok(()) };
        let is_last = page.sealed.is_some();
        self.roll.take(column, page).map_err(|why| (source, CloseReason::BadManifest(clip(&why))))?;
        self.moved(context.now, source);
        context.stats.pages += 1;
        if is_last && self.roll.is_single() {
            let sealed = self.roll.columns()[column].header.clone();
            self.shortfall.digest = sealed.digest;
            self.header = sealed;
        }
        Ok(())
    }

    /// Joins what has come, and asks the store to take it.
    pub(super) fn admit(&mut self, context: &mut Context<'_>) {
        let mut told = Vec::new();
        self.roll.join(context.agreement, &mut self.verdicts, |news| told.push(news));
        for news in told {
            match news {
                Told::Contested { contest, legs, reporters } => self.contests.begin(contest, legs, reporters),
                Told::Disputed { entry, why } => {
                    context.stats.disputed += 1;
                    self.add_gap(None, &entry, None, &why);
                    self.shortfall.add_unlisted();
                }
                Told::Alone(key) => self.findings.alone.add(&key),
            }
        }
        if let Some(batch) = self.roll.next_batch() {
            for (ordinal, contest, votes) in &batch.legs {
                self.contests.enter(*contest, *ordinal, *votes);
            }
            let entries = batch.rows.iter().map(|row| row.entry.clone()).collect();
            context.actions.push_back(Action::Admit { entries });
        }
    }

    /// Whether the store is at work on a batch that has this entry.
    pub(crate) fn is_admitting(&self, ordinal: Option<Ordinal>) -> bool {
        let Some(batch) = self.roll.batch() else { return false };
        let by_ordinal =
            |ordinal: Ordinal| batch.rows.binary_search_by_key(&ordinal, |row| row.entry.ordinal);
        ordinal.is_none_or(|ordinal| by_ordinal(ordinal).is_ok())
    }

    /// The store took the entries.
    pub(crate) fn admitted(&mut self, context: &mut Context<'_>, answer: Admitted) {
        let Some(batch) = self.roll.admitted() else { return };
        let mut held: BTreeMap<Ordinal, Vec<ChunkRange>> = BTreeMap::new();
        for (ordinal, chunks) in answer.held {
            held.entry(ordinal).or_default().extend(chunks);
        }
        let mut unusable: BTreeMap<Ordinal, String> = answer.unusable.into_iter().collect();
        self.recheck = true;
        let others = self.earlier.as_mut().filter(|earlier| earlier.is_of_another(self.header.digest));
        if let Some(earlier) = others.filter(|_| context.agreement.is_best_effort()) {
            batch.rows.iter().for_each(|row| earlier.listed_again(&row.entry.key));
        }
        for row in batch.rows {
            match unusable.remove(&row.entry.ordinal) {
                Some(why) => self.skip(context, &row, &why),
                None => {
                    let held = held.remove(&row.entry.ordinal).unwrap_or_default();
                    self.want(row, held);
                }
            }
        }
    }

    /// The store refused the entries; says whose they are if that is clear by now.
    pub(crate) fn refused(&mut self) -> Option<Refused> {
        for (ordinal, ..) in self.roll.batch().into_iter().flat_map(|batch| batch.legs.clone()) {
            self.contests.withdraw(ordinal);
        }
        self.roll.refused()
    }

    /// Those in use who have one of these manifests.
    pub(crate) fn members(&self, columns: &[usize]) -> Vec<SourceId> {
        let members = self.links.iter().filter(|(_, link)| columns.contains(&link.column));
        members.map(|(source, _)| *source).collect()
    }

    /// Goes on without what these manifests list, after their sources were closed; says whether it can:
    /// not if others have another copy of what was refused, or are too few for the level.
    pub(crate) fn dismiss(&mut self, refused: &Refused, agreement: &Agreement) -> bool {
        refused.columns.iter().for_each(|column| self.roll.dismiss(*column));
        !refused.is_contested && self.is_heard_enough(agreement)
    }

    fn want(&mut self, row: Row, held: Vec<ChunkRange>) {
        let ordinal = row.entry.ordinal;
        let admitted = self.wanted.admit(row, held);
        self.held_bytes = self.held_bytes.saturating_add(admitted.held_bytes);
        self.done.bytes = self.done.bytes.saturating_add(admitted.held_bytes);
        self.done.entries += u64::from(admitted.complete);
        if admitted.complete {
            self.contests.came(ordinal);
        }
    }

    fn skip(&mut self, context: &mut Context<'_>, row: &Row, why: &str) {
        context.stats.set_aside += 1;
        let columns = row.holders.columns();
        let has = |(column, _): &(usize, _)| columns.has(*column);
        let peer = self.roll.columns().iter().enumerate().find(has);
        if let Some(peer) = peer.and_then(|(_, column)| column.peers.first()).cloned() {
            let (ordinal, key) = (row.entry.ordinal, row.entry.key.clone());
            self.shortfall.add_gap(Gap { ordinal, key, chunk: None, peer, why: clip(why) });
        }
        if !self.contests.failed(row.entry.ordinal) {
            self.shortfall.add_entry(row.entry.ordinal);
        }
    }
}
