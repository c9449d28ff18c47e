//! What nobody in use gives: noted with who was asked last, handed to the pass that follows, or done
//! without.

use peerstream_types::{ChunkIndex, Entry};

use super::{Context, Pass};
use crate::config::clip;
use crate::shortfall::Shortfall;
use crate::{Action, Found, Gap, SourceId};

impl Pass {
    /// Notes what is missing, and who was asked last: `None` for one of those who have it.
    pub(super) fn add_gap(
        &mut self,
        source: Option<SourceId>,
        entry: &Entry,
        chunk: Option<ChunkIndex>,
        why: &str,
    ) {
        let asked = source.and_then(|source| self.links.get(&source)).map(|link| &link.peer);
        let holders = self.roll.columns().iter().enumerate();
        let mut holders = holders.filter(|(column, _)| self.wanted.has(entry.ordinal, *column));
        let peer = asked.or_else(|| holders.find_map(|(_, column)| column.peers.first()));
        let peer = peer.or_else(|| self.roll.columns().iter().find_map(|column| column.peers.first()));
        let Some(peer) = peer.cloned() else { return };
        let (ordinal, key) = (entry.ordinal, entry.key.clone());
        self.shortfall.add_gap(Gap { ordinal, key, chunk, peer, why: clip(why) });
    }

    /// Does without all that is missing, if the store knows it by its ordinals (row F-19).
    pub(crate) fn drop_missing(&mut self, context: &mut Context<'_>) -> bool {
        let Some((ordinals, dropped)) = self.shortfall.drop_all() else { return false };
        context.stats.left_out += dropped.count;
        context.actions.extend(ordinals.into_iter().map(|ordinal| Action::LeaveOut { ordinal }));
        self.findings.dropped = dropped;
        self.does_without_some = true;
        true
    }

    /// What those who were worked through before could not give, and those who are in use now do not have.
    pub(crate) fn forsaken(&self) -> Found {
        let earlier = self.earlier.as_ref().filter(|earlier| earlier.is_of_another(self.header.digest));
        earlier.cloned().map(Shortfall::found).unwrap_or_default()
    }

    /// What is known to be missing: of this manifest if it was worked through, else of the last one
    /// that was.
    pub(crate) fn into_shortfall(self) -> Option<Shortfall> {
        if self.is_worked_through() { Some(self.shortfall) } else { self.earlier }
    }

    /// What is missing of this manifest so far, or else of the one before.
    pub(crate) fn missing(&self) -> &[Gap] {
        match (self.shortfall.gaps(), &self.earlier) {
            ([], Some(earlier)) => earlier.gaps(),
            (gaps, _) => gaps,
        }
    }

    pub(crate) fn entries_missing(&self) -> u64 {
        self.shortfall.entries().max(self.earlier.as_ref().map_or(0, Shortfall::entries))
    }
}
