//! Reading to hash passes the shaper like every other bulk byte.

use std::sync::Arc;

use peerstream_shape::{Charge, Class, Direction, Shaper};
use peerstream_snapshot::{BoxFuture, ReadPacer};

/// Charges the node's shaper.
#[derive(Debug, Clone)]
pub(super) struct Pace(pub(super) Arc<dyn Shaper>);

impl ReadPacer for Pace {
    fn charge(&self, bytes: u64) -> Option<BoxFuture<'_, ()>> {
        self.0.charge(&Charge { class: Class::DiskRead, direction: Direction::Read, peer: None, bytes })
    }
}

#[cfg(test)]
mod tests {
    use peerstream_shape::PassThrough;

    use super::*;

    #[test]
    fn what_is_hashed_is_counted() {
        let shaper = Arc::new(PassThrough::default());
        assert!(Pace(shaper.clone()).charge(700).is_none());
        assert_eq!(shaper.bytes(Class::DiskRead, Direction::Read), 700);
    }
}
