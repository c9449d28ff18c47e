//! What an operation asks for.

use peerstream_types::{NodeId, Operation, Selector, ShardId};

/// Most tasks of one plan; a larger operation is several plans.
pub(super) const TASKS_MAX: usize = 4096;
/// Most sources named for one shard.
pub(super) const SOURCES_MAX: usize = 64;

/// One shard in one direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Bring a shard to this node.
    Request {
        /// The shard.
        shard: ShardId,
        /// Which part of it.
        selector: Selector,
        /// Whom to ask, in order; empty asks the placement.
        sources: Vec<NodeId>,
    },
    /// Bring a shard of this node to a peer.
    Transfer {
        /// The shard.
        shard: ShardId,
        /// Which part of it.
        selector: Selector,
        /// To whom.
        to: NodeId,
    },
}

impl Task {
    /// The shard.
    pub fn shard(&self) -> &ShardId {
        match self {
            Self::Request { shard, .. } | Self::Transfer { shard, .. } => shard,
        }
    }
}

/// A plan to be executed: an operation, requests and transfers (rows C01 to C03).
///
/// ```
/// use peerstream_engine::StreamPlan;
/// use peerstream_types::{DatasetName, NodeId, Operation, ShardId};
///
/// let shard = |index| ShardId::new(DatasetName::new("metrics").unwrap(), 1, index);
/// let plan = StreamPlan::new(Operation::Move)
///     .request(shard(0))
///     .request_from(shard(1), [NodeId::new("store-2").unwrap()])
///     .transfer(shard(2), NodeId::new("store-2").unwrap());
/// assert_eq!(plan.tasks().len(), 3);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamPlan {
    operation: Operation,
    tasks: Vec<Task>,
}

/// Why a plan was refused. Nothing was started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The plan is too large.
    #[error("the plan has {0} tasks, at most {TASKS_MAX} are allowed; split it")]
    TooManyTasks(usize),
    /// One shard names too many sources.
    #[error("shard {shard} names {got} sources, at most {SOURCES_MAX} are allowed")]
    TooManySources {
        /// The shard.
        shard: ShardId,
        /// How many it names.
        got: usize,
    },
    /// One shard is requested twice: two writers of one shard would fence each other off.
    #[error("shard {0} is requested twice")]
    RequestedTwice(ShardId),
    /// This node has no sink for the dataset.
    #[error("dataset of shard {0} cannot be received here: it has no sink")]
    NoSink(ShardId),
    /// This node has no source for the dataset.
    #[error("dataset of shard {0} cannot be served here: it has no source")]
    NoSource(ShardId),
    /// The engine is shutting down.
    #[error("the engine is shutting down")]
    ShuttingDown,
    /// Too many plans are running.
    #[error("{0} plans are running, which is the limit; wait for one to end")]
    TooManyPlans(usize),
}

impl StreamPlan {
    /// An empty plan. Executed as it is, it completes at once without any connection (row C08).
    pub fn new(operation: Operation) -> Self {
        Self { operation, tasks: Vec::new() }
    }

    /// Asks for a shard from whoever holds it, as the placement says.
    #[must_use]
    pub fn request(self, shard: ShardId) -> Self {
        self.request_from(shard, [])
    }

    /// Asks for a shard from these nodes, in this order.
    #[must_use]
    pub fn request_from(self, shard: ShardId, sources: impl IntoIterator<Item = NodeId>) -> Self {
        self.task(Task::Request { shard, selector: Selector::All, sources: sources.into_iter().collect() })
    }

    /// Sends a shard of this node to a peer.
    #[must_use]
    pub fn transfer(self, shard: ShardId, to: NodeId) -> Self {
        self.task(Task::Transfer { shard, selector: Selector::All, to })
    }

    /// Adds a task in full, with its selector.
    #[must_use]
    pub fn task(mut self, task: Task) -> Self {
        self.tasks.push(task);
        self
    }

    /// Why bytes move.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// What is to move.
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    pub(crate) fn check(&self) -> Result<(), PlanError> {
        if self.tasks.len() > TASKS_MAX {
            return Err(PlanError::TooManyTasks(self.tasks.len()));
        }
        let mut requested = std::collections::BTreeSet::new();
        for task in &self.tasks {
            if let Task::Request { shard, sources, .. } = task {
                if sources.len() > SOURCES_MAX {
                    return Err(PlanError::TooManySources { shard: shard.clone(), got: sources.len() });
                }
                if !requested.insert(shard) {
                    return Err(PlanError::RequestedTwice(shard.clone()));
                }
            }
        }
        Ok(())
    }
}
