//! One receiving writer per shard.

use peerstream_snapshot::{Fence, SinkError};
use peerstream_types::ShardId;

/// Which recovery a shard has. Among those with equal fences the newest is the one.
#[derive(Debug, Default)]
pub(crate) struct Writers {
    fence: Option<Fence>,
    tickets: u64,
}

/// What a recovery shows with every operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

impl Writers {
    /// Lets a recovery in and every other one out.
    pub(crate) fn enter(&mut self, shard: &ShardId, fence: Fence) -> Result<Ticket, SinkError> {
        if let Some(newer) = self.fence.filter(|held| *held > fence) {
            return Err(SinkError::Fenced { shard: shard.clone(), newer: newer.0 });
        }
        self.fence = Some(fence);
        self.tickets += 1;
        Ok(Ticket(self.tickets))
    }

    /// Lets the recovery that is in out.
    pub(crate) fn expel(&mut self) {
        self.tickets += 1;
    }

    /// Whether the recovery is still the one.
    pub(crate) fn check(&self, shard: &ShardId, ticket: Ticket) -> Result<(), SinkError> {
        if ticket == Ticket(self.tickets) {
            return Ok(());
        }
        let newer = self.fence.map_or(0, |fence| fence.0);
        Err(SinkError::Fenced { shard: shard.clone(), newer })
    }
}
