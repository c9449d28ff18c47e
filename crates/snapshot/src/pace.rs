//! The pacing seam: reading for hashes gives way to whatever else the disk is needed for.

use std::fmt;

use crate::BoxFuture;

/// Is charged for every byte that is read to be hashed. The host adapts it to its own limiter.
pub trait ReadPacer: Send + Sync + fmt::Debug {
    /// Charges `bytes` that are about to be read. `None` if they may be read at once; else they may
    /// when the future is ready. Charged is charged, also if the future is dropped.
    fn charge(&self, bytes: u64) -> Option<BoxFuture<'_, ()>>;
}

/// Lets everything be read at once.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unpaced;

impl ReadPacer for Unpaced {
    fn charge(&self, _bytes: u64) -> Option<BoxFuture<'_, ()>> {
        None
    }
}
