//! How much work is outstanding at each peer.

use std::collections::BTreeMap;

use peerstream_types::NodeId;

/// Work outstanding at the peers, over all shards and recoveries of this node (row F-07): in whatever
/// unit the driver counts, bytes say. Peers without any take no place, so that the table is no larger
/// than what is under way.
#[derive(Debug, Clone, Default)]
pub struct Loads(BTreeMap<NodeId, u64>);

impl Loads {
    /// Work was given to a peer.
    pub fn begin(&mut self, peer: &NodeId, work: u64) {
        match self.0.get_mut(peer) {
            Some(outstanding) => *outstanding = outstanding.saturating_add(work),
            None if work > 0 => drop(self.0.insert(peer.clone(), work)),
            None => {}
        }
    }

    /// Work at a peer has ended, well or not.
    pub fn end(&mut self, peer: &NodeId, work: u64) {
        if let Some(outstanding) = self.0.get_mut(peer) {
            *outstanding = outstanding.saturating_sub(work);
            if *outstanding == 0 {
                self.0.remove(peer);
            }
        }
    }

    /// What is outstanding at a peer.
    pub fn outstanding(&self, peer: &NodeId) -> u64 {
        self.0.get(peer).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_ended_takes_no_place() {
        let peer = NodeId::new("a").unwrap();
        let mut loads = Loads::default();
        loads.begin(&peer, 0);
        loads.begin(&peer, 5);
        loads.begin(&peer, 2);
        loads.end(&peer, 3);
        assert_eq!(loads.outstanding(&peer), 4);
        loads.end(&peer, 9);
        assert_eq!((loads.outstanding(&peer), loads.0.len()), (0, 0));
    }
}
