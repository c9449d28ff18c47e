//! The end of a process or of the power, and of what nobody refers to.

use std::collections::{BTreeMap, BTreeSet};

use super::{File, Medium, NODES_MIN, Node, NodeId, ROOT};
use crate::disk::crash::power::Survival;

impl Medium {
    /// Leaves what survives.
    pub(in super::super) fn crash(&mut self, survival: Survival) {
        let mut chance = survival.chance();
        for change in self.pending.take_survivors(survival, &mut chance) {
            self.make_durable(&change);
        }
        for node in self.nodes.values_mut() {
            if let Node::Dir(dir) = node {
                dir.seen = dir.durable.clone();
            }
        }
        self.collect_with(|_| false);
        for node in self.nodes.values_mut() {
            if let Node::File(file) = node {
                file.content.settle(survival, &mut chance);
            }
        }
        self.count_anew();
    }

    /// Nobody has anything open any more.
    pub(in super::super) fn close_all(&mut self) {
        self.count_anew();
    }

    /// Counts names and room; closes all files.
    fn count_anew(&mut self) {
        let mut names: BTreeMap<NodeId, u32> = BTreeMap::new();
        for node in self.nodes.values() {
            if let Node::Dir(dir) = node {
                dir.seen.values().for_each(|node| *names.entry(*node).or_default() += 1);
            }
        }
        self.used = 0;
        for (id, node) in &mut self.nodes {
            if let Node::File(file) = node {
                file.open = 0;
                file.names = names.get(id).copied().unwrap_or_default();
                self.used += if file.names > 0 { file.content.len() as u64 } else { 0 };
            }
        }
    }

    pub(super) fn collect_if_many(&mut self) {
        if self.nodes.len() >= self.collect_at {
            self.collect_with(|file| file.open > 0);
            self.collect_at = NODES_MIN.max(2 * self.nodes.len());
        }
    }

    /// Drops the nodes that nothing refers to: no name, seen or durable or on its way, and nobody who
    /// `keeps` the file.
    fn collect_with(&mut self, keeps: impl Fn(&File) -> bool) {
        let mut reached = BTreeSet::new();
        let mut next: Vec<NodeId> = self.pending.nodes().chain([ROOT]).collect();
        while let Some(id) = next.pop() {
            if reached.insert(id)
                && let Some(Node::Dir(dir)) = self.nodes.get(&id)
            {
                next.extend(dir.seen.values().chain(dir.durable.values()));
            }
        }
        self.nodes.retain(|id, node| match node {
            Node::File(file) => reached.contains(id) || keeps(file),
            Node::Dir(_) => reached.contains(id),
        });
    }
}
