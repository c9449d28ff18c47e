//! What happens to a plan, as it happens.

use peerstream_types::{NodeId, ShardId};

use super::{PlanResult, ShardOutcome, Stage};

/// An event of a plan. Listeners that fall behind lose the oldest events, never the plan its time.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlanEvent {
    /// A shard entered a stage, asking this node.
    Stage {
        /// The shard.
        shard: ShardId,
        /// The stage.
        stage: Stage,
        /// The peer at the other end, once there is one.
        peer: Option<NodeId>,
    },
    /// A source was given up and another is tried, if there is one.
    SourceLost {
        /// The shard.
        shard: ShardId,
        /// The source.
        peer: NodeId,
        /// Why.
        reason: String,
    },
    /// A chunk, or an outline, did not fit its digest, or what is in an entry is not what the store keeps.
    BadChunk {
        /// The shard.
        shard: ShardId,
        /// Which, from whom, why.
        bad: super::BadChunk,
    },
    /// A shard has ended.
    ShardEnded {
        /// The shard.
        shard: ShardId,
        /// How.
        outcome: ShardOutcome,
    },
    /// The plan has ended; nothing follows.
    PlanEnded(PlanResult),
}
