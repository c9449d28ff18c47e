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
    /// Begin with these; whoever else has offered is not needed.
    Begin(Vec<Group>),
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
    if let Some(place) = settled(&groups, agreement, others) {
        return Gathered::Begin(groups.into_iter().skip(place).take(1).collect());
    }
    let offers = groups.iter().map(Group::votes).sum();
    match agreement.ballot(others, offers, failed).judge(agreement.level) {
        Standing::Met if !is_late && offers + failed < others => Gathered::Enough,
        Standing::Met => {
            let unfit = unfit(&groups, agreement, order);
            if unfit.is_empty() { Gathered::Begin(groups) } else { Gathered::Unfit(unfit) }
        }
        Standing::Dropped => Gathered::Nobody,
        Standing::NotAttempted | Standing::Open { .. } | Standing::Missed { .. } => Gathered::TooFew,
    }
}

/// The manifest that needs no comparing: so many have it that the others cannot outvote it, or, where
/// what the others have would be merged, nobody has another.
fn settled(groups: &[Group], agreement: &Agreement, others: u32) -> Option<usize> {
    let is_alone = groups.len() == 1;
    let is_settled = |group: &Group| {
        group.header.is_sealed()
            && (is_alone || agreement.kind == DatasetKind::Identical)
            && agreement.is_settled(others, group.votes())
    };
    groups.iter().position(is_settled)
}

/// The group that the others have to go with.
fn base(groups: &[Group]) -> Option<&Group> {
    groups.iter().min_by_key(|group| Reverse(group.votes()))
}

fn unfit(
    groups: &[Group],
    agreement: &Agreement,
    order: &dyn PositionOrder,
) -> Vec<(SourceId, &'static str)> {
    let Some(base) = base(groups) else { return Vec::new() };
    let why = |header: &ManifestHeader| {
        if header.chunk_size != base.header.chunk_size {
            Some("it is cut into chunks of another size")
        } else if agreement.kind == DatasetKind::Identical && header.state != base.header.state {
            Some("its store state is another")
        } else if earlier(order, base.header.position.as_ref(), header.position.as_ref()).is_err() {
            Some("its position in the change log cannot be compared with theirs")
        } else {
            None
        }
    };
    let unfit = groups.iter().filter_map(|group| Some((group, why(&group.header)?)));
    unfit.flat_map(|(group, why)| group.members.iter().map(move |(_, source)| (*source, why))).collect()
}

/// What a staging begins with for these groups: the one header, or what they have in common, with the
/// position from which nothing of any of them is skipped.
pub(crate) fn header_of(groups: &[Group], order: &dyn PositionOrder) -> Option<ManifestHeader> {
    let base = base(groups)?.header.clone();
    if groups.len() == 1 {
        return Some(base);
    }
    let mut position = base.position.clone();
    for group in groups {
        position = earlier(order, position.as_ref(), group.header.position.as_ref()).ok()?;
    }
    Some(ManifestHeader { counts: Default::default(), digest: None, position, ..base })
}
