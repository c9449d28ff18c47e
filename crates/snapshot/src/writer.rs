//! One writer per shard.

use peerstream_types::ShardId;

use crate::{Fence, SinkError};

/// Which writer a shard has. Among writers with equal fences the newest is the one.
#[derive(Debug, Default)]
pub(crate) struct Writers {
    fence: Option<Fence>,
    tickets: u64,
}

/// What a writer shows with every operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

impl Writers {
    /// Lets a writer in and every other one out.
    pub(crate) fn enter(&mut self, shard: &ShardId, fence: Fence) -> Result<Ticket, SinkError> {
        if let Some(newer) = self.fence.filter(|held| *held > fence) {
            return Err(SinkError::Fenced { shard: shard.clone(), newer: newer.0 });
        }
        self.fence = Some(fence);
        self.tickets += 1;
        Ok(Ticket(self.tickets))
    }

    /// Whether the writer is still the one.
    pub(crate) fn check(&self, shard: &ShardId, ticket: Ticket) -> Result<(), SinkError> {
        if ticket == Ticket(self.tickets) {
            return Ok(());
        }
        let newer = self.fence.map_or(0, |fence| fence.0);
        Err(SinkError::Fenced { shard: shard.clone(), newer })
    }
}

#[cfg(test)]
mod tests {
    use peerstream_types::DatasetName;

    use super::*;

    #[test]
    fn the_newest_writer_with_the_largest_fence_is_the_one() {
        let shard = ShardId::new(DatasetName::new("d").unwrap(), 1, 0);
        let mut writers = Writers::default();
        let first = writers.enter(&shard, Fence(2)).unwrap();
        assert!(writers.enter(&shard, Fence(1)).is_err());
        assert!(writers.check(&shard, first).is_ok(), "a refused writer changes nothing");
        let second = writers.enter(&shard, Fence(2)).unwrap();
        assert!(writers.check(&shard, first).is_err());
        assert!(writers.check(&shard, second).is_ok());
    }
}
