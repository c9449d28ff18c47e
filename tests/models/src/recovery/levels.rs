//! What a level allows, said again and in other words than the job's: of what a listing was begun with,
//! of each entry, and of all that is sealed.

use std::collections::BTreeSet;

use peerstream_recovery::{Agreement, Voters};
use peerstream_select::Level;
use peerstream_types::DatasetKind;

use super::parts::{Mark, Peer};

/// Whether replicas are compared at a level.
pub(super) fn compares(kind: DatasetKind, level: Level) -> bool {
    kind != DatasetKind::Local && level != Level::One
}

/// Whether the word of so many voters is enough.
fn is_met(level: Level, replicas: u32, voters: u32, got: u32) -> bool {
    match level {
        Level::None => true,
        Level::One | Level::UnstrictMajority | Level::UnstrictAll => got >= 1,
        Level::Majority => 2 * got > replicas,
        Level::All => got >= voters,
    }
}

/// Whether nobody more is waited for.
fn is_all_that_is_wanted(level: Level, replicas: u32, got: u32) -> bool {
    match level {
        Level::None | Level::One => true,
        Level::UnstrictMajority | Level::Majority => 2 * got > replicas,
        Level::UnstrictAll | Level::All => false,
    }
}

/// Whether `votes` of the `reporters` of an entry are enough for it. What fewer have than the level asks for
/// is a matter of those who have it.
fn is_believed(level: Level, replicas: u32, reporters: u32, votes: u32) -> bool {
    let of = replicas.min((2 * reporters).saturating_sub(1));
    votes > 0 && is_met(level, of, reporters, votes)
}

/// Replicas with one manifest.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) peer: Peer,
    /// Who said that it is theirs.
    pub(super) members: BTreeSet<usize>,
    /// Whether it was listed to its end.
    pub(super) is_listed: bool,
    /// Whether it lists what the store cannot keep.
    pub(super) is_dismissed: bool,
}

impl Column {
    fn votes(&self) -> u32 {
        self.members.len() as u32
    }

    fn has(&self, key: u8) -> bool {
        self.peer.has.iter().any(|mark| mark.0 == key)
    }
}

/// A listing: what it was begun with, and what came of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Listed {
    pub(super) columns: Vec<Column>,
    /// What the store has taken, in order.
    pub(super) rows: Vec<Mark>,
    /// What it is asked to take.
    pub(super) batch: Vec<Mark>,
    /// Rows that are done without.
    pub(super) left_out: BTreeSet<usize>,
    /// The levels that were in force since it was begun.
    pub(super) in_force: BTreeSet<Level>,
}

impl Listed {
    /// What the store has taken, or is asked to take.
    pub(super) fn row(&self, at: usize) -> Option<Mark> {
        self.rows.iter().chain(&self.batch).nth(at).copied()
    }

    /// What has to be there.
    pub(super) fn wanted(&self) -> impl Iterator<Item = Mark> {
        let wanted = self.rows.iter().enumerate().filter(|(at, _)| !self.left_out.contains(at));
        wanted.map(|(_, mark)| *mark)
    }

    fn votes(&self, of: &[&Column], is_meant: impl Fn(&Column) -> bool) -> u32 {
        of.iter().filter(|column| is_meant(column)).map(|column| column.votes()).sum()
    }

    /// Those whose word may have been heard when something was decided: all that still list or have listed,
    /// with any of those who were lost before their end or called wrong.
    fn heard(&self, is_there: impl Fn(usize) -> bool) -> Vec<Vec<&Column>> {
        let is_sure = |column: &Column| {
            let may_go_on = column.is_listed || column.members.iter().any(|at| is_there(*at));
            may_go_on && !column.is_dismissed
        };
        let sure = self.columns.iter().enumerate().filter(|(_, column)| is_sure(column));
        let sure = sure.fold(0_usize, |set, (at, _)| set | 1 << at);
        let sets = (0..1_usize << self.columns.len()).filter(|set| set & sure == sure);
        let pick = |set: usize| {
            let columns = self.columns.iter().enumerate();
            columns.filter(|(at, _)| set >> at & 1 == 1).map(|(_, column)| column).collect()
        };
        sets.map(pick).collect()
    }

    /// Whether an entry may be taken: somebody has it, and unless all copies are merged, enough of those who
    /// report its key.
    pub(super) fn may_take(
        &self,
        agreement: &Agreement,
        mark: Mark,
        is_there: impl Fn(usize) -> bool,
    ) -> bool {
        self.heard(is_there).into_iter().any(|heard| {
            let votes = self.votes(&heard, |column| column.peer.has.contains(&mark));
            if self.columns.len() == 1 || agreement.kind == DatasetKind::Mergeable {
                return votes > 0;
            }
            let reporters = self.votes(&heard, |column| column.has(mark.0));
            self.in_force.iter().any(|level| is_believed(*level, agreement.voters.replicas, reporters, votes))
        })
    }

    /// Whether what was taken, less what was left out, is all that the level asks for.
    pub(super) fn may_seal(&self, agreement: &Agreement, is_there: impl Fn(usize) -> bool) -> bool {
        if let [one] = self.columns.as_slice() {
            return self.rows == one.peer.has && self.left_out.is_empty();
        }
        let sets = self.heard(is_there);
        let Some(sure) = sets.first() else { return false };
        let (all, heard) = (self.columns.iter().map(Column::votes).sum(), self.votes(sure, |_| true));
        let is_met = |level: &Level| heard > 0 && is_met(*level, agreement.voters.replicas, all, heard);
        let listed: BTreeSet<Mark> = sure.iter().flat_map(|column| column.peer.has.iter().copied()).collect();
        let keys: BTreeSet<u8> = self.rows.iter().map(|mark| mark.0).collect();
        let is_complete = match agreement.kind {
            DatasetKind::Mergeable => listed.iter().all(|mark| self.rows.contains(mark)),
            DatasetKind::Identical | DatasetKind::Local => listed.iter().all(|mark| keys.contains(&mark.0)),
        };
        (heard == all || self.in_force.iter().any(is_met))
            && is_complete
            && keys.into_iter().all(|key| sets.iter().any(|heard| self.is_settled(agreement, heard, key)))
    }

    /// Whether enough of those who report a key gave what is kept of it.
    fn is_settled(&self, agreement: &Agreement, heard: &[&Column], key: u8) -> bool {
        let copies = self.rows.iter().filter(|mark| mark.0 == key).count();
        if copies == 1 {
            return self.wanted().any(|mark| mark.0 == key);
        }
        let came: Vec<Mark> = self.wanted().filter(|mark| mark.0 == key).collect();
        let reporters = self.votes(heard, |column| column.has(key));
        let votes = self.votes(heard, |column| came.iter().any(|mark| column.peer.has.contains(mark)));
        agreement.kind == DatasetKind::Mergeable
            && self
                .in_force
                .iter()
                .any(|level| is_believed(*level, agreement.voters.replicas, reporters, votes))
    }
}

/// Whether a listing may begin with some of the manifests that were offered: all of them if enough have
/// offered, or one of them alone that the others cannot outvote.
pub(super) fn may_begin(
    agreement: &Agreement,
    candidates: u32,
    offered: &[Column],
    begun: &[Column],
    awaits_offers: bool,
) -> bool {
    let Agreement { kind, level, voters: Voters { replicas, own_vote, .. } } = *agreement;
    if !compares(kind, level) {
        return begun.len() == 1;
    }
    let own = u32::from(own_vote);
    let votes = |columns: &[Column]| columns.iter().map(Column::votes).sum::<u32>();
    let is_enough = |got: u32| {
        let is_waited_for = awaits_offers && !is_all_that_is_wanted(level, replicas, got + own);
        got > 0 && is_met(level, replicas, candidates + own, got + own) && !is_waited_for
    };
    let is_settled = |column: &Column| {
        let got = votes(std::slice::from_ref(column));
        kind == DatasetKind::Identical
            && column.peer.sealed
            && is_met(level, replicas, candidates + own, got + own)
            && (got == candidates || is_all_that_is_wanted(level, replicas, got + own))
    };
    match begun {
        [one] if offered.len() > 1 => is_settled(one),
        _ => begun.len() == offered.len() && is_enough(votes(begun)),
    }
}

/// Whether replicas that have this can agree on all of it.
pub(super) fn can_agree(agreement: &Agreement, candidates: u32, peers: &[Peer]) -> bool {
    let mut columns: Vec<Column> = Vec::new();
    for (at, peer) in peers.iter().enumerate() {
        match columns
            .iter_mut()
            .find(|column| peer.sealed && column.peer.sealed && column.peer.has == peer.has)
        {
            Some(column) => _ = column.members.insert(at),
            None => columns.push(Column {
                peer: *peer,
                members: [at].into(),
                is_listed: true,
                is_dismissed: false,
            }),
        }
    }
    let may = |begun: &[Column]| may_begin(agreement, candidates, &columns, begun, false);
    if !compares(agreement.kind, agreement.level)
        || columns.iter().any(|column| columns.len() > 1 && may(std::slice::from_ref(column)))
    {
        return true;
    }
    let listed = Listed { columns: columns.clone(), in_force: [agreement.level].into(), ..Listed::default() };
    let all: BTreeSet<Mark> = peers.iter().flat_map(|peer| peer.has.iter().copied()).collect();
    let is_agreed =
        |key: u8| all.iter().any(|mark| mark.0 == key && listed.may_take(agreement, *mark, |_| true));
    may(&columns) && all.iter().all(|mark| is_agreed(mark.0))
}
