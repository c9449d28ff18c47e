//! Which replicas may be sources at all: this node never, the dead and those without the data not,
//! and what the operator allows (row C41).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use peerstream_types::{DatasetName, NodeId, ShardId};
use serde::{Deserialize, Serialize};

use crate::ReplicaState;

/// A replica that might be a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Which node.
    pub node: NodeId,
    /// In which state its replica is.
    pub state: ReplicaState,
    /// Whether it is thought to be up.
    pub alive: bool,
    /// Its zone, if it has one.
    pub zone: Option<String>,
}

/// What an operator allows. An empty `only_*` allows everything, and `not_*` goes before `only_*`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SourceFilter {
    /// Only these nodes.
    pub only_nodes: BTreeSet<NodeId>,
    /// Not these nodes.
    pub not_nodes: BTreeSet<NodeId>,
    /// Only nodes of these zones; a node without a zone is in none.
    pub only_zones: BTreeSet<String>,
    /// No nodes of these zones.
    pub not_zones: BTreeSet<String>,
}

/// The rules by which sources are screened. Their text form, in any format of serde, has the names of the
/// fields; what is left out is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SourceRules {
    /// For every dataset.
    pub everywhere: SourceFilter,
    /// For single datasets, besides `everywhere`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub datasets: BTreeMap<DatasetName, SourceFilter>,
    /// Whether a replica that moves here may come from one that leaves only, so that no write is lost
    /// which that one alone has seen. Default off.
    pub strict: bool,
}

/// Why a replica may not be a source. The first that applies, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exclusion {
    /// It is this node.
    Own,
    /// It does not have the data, as the placement says.
    NotEligible,
    /// It is down.
    Down,
    /// The operator excludes the node.
    Node,
    /// The operator excludes its zone.
    Zone,
    /// Strict: it is not the replica that is displaced.
    NotDisplaced,
}

/// Who may be a source of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Screened {
    /// Who may, in order of their ids. Empty only for a shard of one replica without strict mode,
    /// which then begins empty: worth a warning.
    pub sources: Vec<NodeId>,
    /// Who may not, and why, in order of their ids.
    pub left_out: Vec<(NodeId, Exclusion)>,
}

/// Nobody may be a source of a shard. The placement, the filters or the peers are at fault; nothing
/// was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoSourceLeft {
    /// The shard.
    pub shard: ShardId,
    /// Strict mode asks for one of these replicas, which are displaced.
    pub displaced: Vec<NodeId>,
    /// Who may not be a source, and why.
    pub left_out: Vec<(NodeId, Exclusion)>,
}

impl SourceRules {
    /// Screens the replicas of a shard for this node, `own`, which is never its own source. `displaced`
    /// are the replicas that make way for the one at this node, if any do: of several, it is not known
    /// which; `factor` is the replication factor.
    ///
    /// # Errors
    ///
    /// [`NoSourceLeft`] if nobody is left, unless the shard has one replica and the mode is not
    /// strict.
    pub fn screen(
        &self,
        own: &NodeId,
        shard: &ShardId,
        factor: u32,
        displaced: &[NodeId],
        candidates: &[Candidate],
    ) -> Result<Screened, NoSourceLeft> {
        let displaced = if self.strict { displaced } else { &[] };
        let mut candidates: Vec<&Candidate> = candidates.iter().collect();
        candidates.sort_by(|a, b| a.node.cmp(&b.node));
        candidates.dedup_by(|a, b| a.node == b.node);
        let (mut sources, mut left_out) = (Vec::new(), Vec::new());
        for candidate in candidates {
            let is_own = (candidate.node == *own).then_some(Exclusion::Own);
            match is_own.or_else(|| self.exclusion(shard, displaced, candidate)) {
                None => sources.push(candidate.node.clone()),
                Some(why) => left_out.push((candidate.node.clone(), why)),
            }
        }
        if sources.is_empty() && (self.strict || factor > 1) {
            let (shard, displaced) = (shard.clone(), displaced.to_vec());
            return Err(NoSourceLeft { shard, displaced, left_out });
        }
        Ok(Screened { sources, left_out })
    }

    fn exclusion(&self, shard: &ShardId, displaced: &[NodeId], candidate: &Candidate) -> Option<Exclusion> {
        if !candidate.state.is_eligible() {
            return Some(Exclusion::NotEligible);
        }
        if !candidate.alive {
            return Some(Exclusion::Down);
        }
        let filters = [Some(&self.everywhere), self.datasets.get(&shard.dataset)];
        let excluded = filters.into_iter().flatten().filter_map(|filter| filter.excludes(candidate)).min();
        let other = !displaced.is_empty() && !displaced.contains(&candidate.node);
        excluded.or(other.then_some(Exclusion::NotDisplaced))
    }
}

impl SourceFilter {
    fn excludes(&self, candidate: &Candidate) -> Option<Exclusion> {
        let node = &candidate.node;
        if self.not_nodes.contains(node) || !(self.only_nodes.is_empty() || self.only_nodes.contains(node)) {
            return Some(Exclusion::Node);
        }
        let in_one_of =
            |zones: &BTreeSet<String>| candidate.zone.as_ref().is_some_and(|zone| zones.contains(zone));
        let excluded =
            in_one_of(&self.not_zones) || !(self.only_zones.is_empty() || in_one_of(&self.only_zones));
        excluded.then_some(Exclusion::Zone)
    }
}

impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Own => "is this node",
            Self::NotEligible => "does not have the data",
            Self::Down => "is down",
            Self::Node => "is excluded by a filter",
            Self::Zone => "is in a zone that a filter excludes",
            Self::NotDisplaced => "is not the replica that is displaced",
        })
    }
}

impl std::error::Error for NoSourceLeft {}

impl fmt::Display for NoSourceLeft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.left_out.is_empty() {
            return write!(f, "no replica of {} is known", self.shard);
        }
        write!(f, "no replica of {} may be a source", self.shard)?;
        if let [first, others @ ..] = &self.displaced[..] {
            write!(f, ", strict mode takes it from {first}")?;
            others.iter().try_for_each(|other| write!(f, " or {other}"))?;
            f.write_str(" only")?;
        }
        let mut separator = ": ";
        for (node, why) in &self.left_out {
            write!(f, "{separator}{node} {why}")?;
            separator = ", ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> NodeId {
        NodeId::new(name).unwrap()
    }

    fn shard() -> ShardId {
        ShardId::new(DatasetName::new("metrics").unwrap(), 1, 0)
    }

    fn candidate(name: &str, zone: &str) -> Candidate {
        let zone = (!zone.is_empty()).then(|| zone.to_owned());
        Candidate { node: node(name), state: ReplicaState::Available, alive: true, zone }
    }

    fn candidates() -> Vec<Candidate> {
        vec![candidate("own", "z1"), candidate("c", "z2"), candidate("b", "z1"), candidate("d", "")]
    }

    fn rules() -> SourceRules {
        SourceRules::default()
    }

    fn screen(
        rules: &SourceRules,
        factor: u32,
        displaced: &[&str],
        candidates: &[Candidate],
    ) -> Result<Screened, NoSourceLeft> {
        let displaced: Vec<NodeId> = displaced.iter().map(|name| node(name)).collect();
        rules.screen(&node("own"), &shard(), factor, &displaced, candidates)
    }

    fn sources(rules: &SourceRules, candidates: &[Candidate]) -> Vec<String> {
        let screened = screen(rules, 3, &[], candidates).unwrap();
        assert_eq!(screened.sources.len() + screened.left_out.len(), candidates.len());
        screened.sources.iter().map(NodeId::to_string).collect()
    }

    /// C41: this node never, the dead not, those without the data not.
    #[test]
    fn this_node_the_dead_and_the_empty_are_no_sources() {
        assert_eq!(sources(&rules(), &candidates()), ["b", "c", "d"]);
        let mut some = candidates();
        some[1].alive = false;
        some[2].state = ReplicaState::Initializing;
        some[3].state = ReplicaState::Leaving;
        let screened = screen(&rules(), 3, &[], &some).unwrap();
        assert_eq!(screened.sources, [node("d")]);
        let why: Vec<Exclusion> = screened.left_out.iter().map(|(_, why)| *why).collect();
        assert_eq!(why, [Exclusion::NotEligible, Exclusion::Down, Exclusion::Own], "b, c, own");
    }

    /// C41: allowed and denied nodes and zones; what is denied goes before what is allowed.
    #[test]
    fn filters_allow_and_deny_nodes_and_zones() {
        let zones = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let nodes = |names: &[&str]| names.iter().map(|name| node(name)).collect();
        let cases: [(SourceFilter, &[&str]); 5] = [
            (SourceFilter { only_nodes: nodes(&["b", "c"]), ..SourceFilter::default() }, &["b", "c"]),
            (SourceFilter { not_nodes: nodes(&["b"]), ..SourceFilter::default() }, &["c", "d"]),
            (SourceFilter { only_zones: zones(&["z2"]), ..SourceFilter::default() }, &["c"]),
            (SourceFilter { not_zones: zones(&["z2"]), ..SourceFilter::default() }, &["b", "d"]),
            (
                SourceFilter {
                    only_nodes: nodes(&["b", "c"]),
                    not_nodes: nodes(&["c"]),
                    ..SourceFilter::default()
                },
                &["b"],
            ),
        ];
        for (filter, expected) in cases {
            let everywhere = SourceRules { everywhere: filter.clone(), ..rules() };
            assert_eq!(sources(&everywhere, &candidates()), expected, "{filter:?}");
            let here = SourceRules { datasets: [(shard().dataset, filter.clone())].into(), ..rules() };
            assert_eq!(sources(&here, &candidates()), expected, "for the dataset: {filter:?}");
            let other = DatasetName::new("other").unwrap();
            let elsewhere = SourceRules { datasets: [(other, filter)].into(), ..rules() };
            assert_eq!(sources(&elsewhere, &candidates()), ["b", "c", "d"]);
        }
    }

    /// C41: strict mode takes the displaced replica, and fails if that is down.
    #[test]
    fn strict_mode_takes_the_displaced_replica_or_fails() {
        let strict = SourceRules { strict: true, ..rules() };
        let screened = screen(&strict, 3, &["c"], &candidates()).unwrap();
        assert_eq!(screened.sources, [node("c")]);
        let mut down = candidates();
        down[1].alive = false;
        let error = screen(&strict, 3, &["c"], &down).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no replica of metrics@1/0 may be a source, strict mode takes it from c only: b is not the replica \
             that is displaced, c is down, d is not the replica that is displaced, own is this node"
        );
        assert_eq!(screen(&rules(), 3, &["c"], &down).unwrap().sources, [node("b"), node("d")]);
        assert_eq!(sources(&strict, &candidates()).len(), 3, "nobody is displaced");
        let either = screen(&strict, 3, &["b", "c"], &candidates()).unwrap();
        assert_eq!(either.sources, [node("b"), node("c")], "of several, it is not known which");
    }

    /// C41: no source is an error; a shard of one replica begins empty, unless the mode is strict.
    #[test]
    fn no_source_is_an_error_except_for_a_lone_replica() {
        let strict = SourceRules { strict: true, ..rules() };
        let only_own = [candidate("own", "")];
        assert!(screen(&rules(), 2, &[], &only_own).is_err());
        let lone = screen(&rules(), 1, &[], &only_own).unwrap();
        assert_eq!((lone.sources.len(), lone.left_out.len()), (0, 1));
        assert!(screen(&strict, 1, &[], &only_own).is_err());
        let unknown = screen(&rules(), 3, &[], &[]).unwrap_err();
        assert_eq!(unknown.to_string(), "no replica of metrics@1/0 is known");
    }
}
