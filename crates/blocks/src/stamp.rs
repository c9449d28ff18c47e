//! When something was written, as far as the writers say.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Orders writes and deletes of one dataset across replicas. The host gives them, in one unit for the
/// whole dataset: milliseconds since the Unix epoch, or a hybrid clock's value. The horizon of
/// tombstones is counted in the same unit. A delete with an equal stamp wins over a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Stamp(pub u64);

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
