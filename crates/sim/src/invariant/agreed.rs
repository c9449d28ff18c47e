//! Agreement first: a level is met, or nothing is published.

use std::collections::BTreeMap;

use peerstream_types::{DatasetKind, EntryKey, NodeId, ShardId};

use super::{Finding, Invariant};
use crate::watch::{Ballots, Image, Ledger, Seen, View};

/// See [`Invariant::statement`].
#[derive(Debug, Clone, Default)]
pub struct Agreed {
    /// How many ballots of each node were judged.
    judged: BTreeMap<NodeId, usize>,
}

impl Invariant for Agreed {
    fn name(&self) -> &'static str {
        "agreed"
    }

    fn statement(&self) -> &'static str {
        "Of a dataset whose replicas are compared nothing is published before as many others were heard as \
         the level in force asks for, and of identical replicas no entry that fewer of those who report it \
         agree on. The own vote is none. A level that was changed meanwhile counts as it was or as it is."
    }

    fn check(&mut self, view: &View<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (id, books) in &view.books.nodes {
            let judged = self.judged.entry(id.clone()).or_default();
            for (shard, ballots) in books.ballots.iter().skip(*judged) {
                let wrong = too_few(ballots).or_else(|| disputed(view, id, shard, ballots));
                findings.extend(wrong.map(|seen| Finding::of(id, shard, seen)));
            }
            *judged = books.ballots.len();
        }
        findings
    }
}

/// Too few replicas were heard.
fn too_few(ballots: &Ballots) -> Option<String> {
    let Ballots { kind, replicas, others, levels, .. } = ballots;
    let votes = ballots.votes();
    // What was pushed is taken at the word of who offers it.
    if *kind == DatasetKind::Local || votes == 0 || ballots.is_enough(*replicas, *others, votes) {
        return None;
    }
    Some(format!("published with {votes} of {others} others heard of {replicas} replicas, at {levels:?}"))
}

/// An entry is published that too few agree on.
fn disputed(view: &View<'_>, id: &NodeId, shard: &ShardId, ballots: &Ballots) -> Option<String> {
    if ballots.kind != DatasetKind::Identical {
        return None;
    }
    let is_it = |(node, of): (&NodeId, &ShardId)| node == id && of == shard;
    let mut visible = view.visible().filter(|(node, of, _)| is_it((node, of)));
    let (_, _, seen) = visible.find(|(_, _, seen)| seen.generation == ballots.generation)?;
    let image = seen.image.as_ref()?;
    image.entries.iter().find_map(|(key, entry)| outvoted(&view.books.ledger, shard, ballots, (key, entry)))
}

fn outvoted(
    ledger: &Ledger,
    shard: &ShardId,
    ballots: &Ballots,
    (key, entry): (&EntryKey, &Seen),
) -> Option<String> {
    let images = ballots.heard.values().map(|digests| {
        let known = digests.iter().flatten().filter_map(|digest| ledger.image(shard, *digest));
        known.filter_map(|image: &Image| image.entries.get(key)).collect::<Vec<_>>()
    });
    let (mut reporters, mut votes) = (0_u32, 0);
    for reports in images.filter(|reports| !reports.is_empty()) {
        reporters += 1;
        votes += u32::from(reports.iter().any(|said| said.bytes == entry.bytes && said.kind == entry.kind));
    }
    // One that fewer report than the level asks for is judged among those who do (row F-10).
    let factor = ballots.replicas.min((2 * reporters).saturating_sub(1));
    let is_fine = votes > 0 && ballots.is_enough(factor, reporters, votes);
    let levels = &ballots.levels;
    (!is_fine).then(|| format!("{votes} of the {reporters} that report {key} agree on it, at {levels:?}"))
}
