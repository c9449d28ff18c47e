//! What is made of the offers of several replicas: whether they are enough, and which go together.

use std::cmp::Reverse;

use peerstream_select::Standing;
use peerstream_types::{DatasetKind, ManifestHeader, NodeId};

use crate::SourceId;
use crate::agreement::{Agreement, PositionOrder, earlier};

/// Replicas with one manifest.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) header: ManifestHeader,
    /// In order of their names.
    pub(crate) members: Vec<(NodeId, SourceId)>,
}

impl Group {
    fn votes(&self) -> u32 {
        u32::try_from(self.members.len()).unwrap_or(u32::MAX)
    }
}

/// Whether two headers are of one manifest, so that its entries have the same ordinals wherever it is. One
/// that is not sealed is nobody else's.
pub(crate) fn is_same_manifest(one: &ManifestHeader, other: &ManifestHeader) -> bool {
    let key = |header: &ManifestHeader| (header.digest, header.chunk_size, header.counts);
    one.is_sealed() && key(one) == key(other)
}

/// Where the replicas of a shard stand before anything is listed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turnout {
    /// All that could be asked.
    pub(crate) others: u32,
    /// Those who failed and were not asked again since.
    pub(crate) failed: u32,
    /// Whether those who have not answered were waited for long enough, should they not be needed.
    pub(crate) is_late: bool,
}

/// What follows from the offers.
#[derive(Debug)]
pub(crate) enum Gathered {
    /// More offers are needed.
    TooFew,
    /// They are enough, and do not agree: the rest is waited for, for a while.
    Enough,
    /// These do not go with the others.
    Unfit(Vec<(SourceId, &'static str)>),
    /// Begin with these under this header; whoever else has offered is not needed.
    Begin(Box<ManifestHeader>, Vec<Group>),
    /// Best effort, and nobody has answered.
    Nobody,
}

/// Groups the offers by manifest, the groups in order of their first members. One that is not sealed is
/// alone.
pub(crate) fn groups(offers: impl IntoIterator<Item = (NodeId, SourceId, ManifestHeader)>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (peer, source, header) in offers {
        match groups.iter_mut().find(|group| is_same_manifest(&group.header, &header)) {
            Some(group) => group.members.push((peer, source)),
            None => groups.push(Group { header, members: vec![(peer, source)] }),
        }
    }
    groups.iter_mut().for_each(|group| group.members.sort());
    groups.sort_by(|one, other| one.members.cmp(&other.members));
    groups
}

/// Judges the offers so far.
pub(crate) fn judge(
    groups: Vec<Group>,
    agreement: &Agreement,
    order: &dyn PositionOrder,
    turnout: Turnout,
) -> Gathered {
    let Turnout { others, failed, is_late } = turnout;
    if let Some(place) = settled(&groups, agreement, turnout) {
        return together(groups.into_iter().skip(place).take(1).collect(), agreement, order);
    }
    let offers = groups.iter().map(Group::votes).sum();
    match agreement.ballot(others, offers, failed).judge(agreement.level) {
        Standing::Met if !is_late && offers + failed < others => Gathered::Enough,
        Standing::Met => together(groups, agreement, order),
        Standing::Dropped => Gathered::Nobody,
        Standing::NotAttempted | Standing::Open { .. } | Standing::Missed { .. } => Gathered::TooFew,
    }
}

/// The manifest that needs no comparing: so many have it that those who may still answer cannot have as many
/// votes for another, or, where what the others have would be merged, nobody who has answered has another.
/// Best effort takes the first that comes, or all that can be merged.
fn settled(groups: &[Group], agreement: &Agreement, turnout: Turnout) -> Option<usize> {
    let Turnout { others, failed, .. } = turnout;
    let best_effort = agreement.is_best_effort();
    let is_final = |group: &Group| match agreement.kind {
        DatasetKind::Mergeable => groups.len() == 1 && !best_effort,
        DatasetKind::Identical | DatasetKind::Local => {
            let ballot = agreement.ballot(others.saturating_sub(failed), group.votes(), 0);
            best_effort || ballot.votes().saturating_mul(2) > ballot.voters()
        }
    };
    let is_settled = |group: &Group| {
        group.header.is_sealed() && is_final(group) && agreement.is_settled(others, group.votes())
    };
    groups.iter().position(is_settled)
}

/// Begins with these groups, unless some do not go with the one that most have. Under the one header, or
/// under what they have in common, with the position from which nothing of any of them is skipped.
fn together(groups: Vec<Group>, agreement: &Agreement, order: &dyn PositionOrder) -> Gathered {
    let votes = groups.iter().enumerate().min_by_key(|(_, group)| Reverse(group.votes()));
    let Some((most, base)) = votes.map(|(most, group)| (most, group.header.clone())) else {
        return Gathered::TooFew;
    };
    let (mut position, mut unfit) = (base.position.clone(), Vec::new());
    for (_, Group { header, members }) in groups.iter().enumerate().filter(|(place, _)| *place != most) {
        let why = if header.chunk_size != base.chunk_size {
            "it is cut into chunks of another size"
        } else if agreement.kind == DatasetKind::Identical && header.state != base.state {
            "its store state is another"
        } else if let Ok(earlier) = earlier(order, position.as_ref(), header.position.as_ref()) {
            position = earlier;
            continue;
        } else {
            "its position in the change log cannot be compared with theirs"
        };
        unfit.extend(members.iter().map(|(_, source)| (*source, why)));
    }
    if !unfit.is_empty() {
        return Gathered::Unfit(unfit);
    }
    let header = if groups.len() == 1 {
        base
    } else {
        ManifestHeader { counts: Default::default(), digest: None, position, ..base }
    };
    Gathered::Begin(Box::new(header), groups)
}
