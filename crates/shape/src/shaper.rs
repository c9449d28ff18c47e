//! The seam.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use peerstream_types::NodeId;

use crate::{Class, Direction};

/// The most bytes of one charge when sending: the sender is charged per write of at most 64 KiB,
/// so that a change of limits takes effect within one.
pub const WRITE_LEN_MAX: usize = 64 * 1024;

/// Bytes that want to pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge<'a> {
    /// What they are for.
    pub class: Class,
    /// Which way they go.
    pub direction: Direction,
    /// To or from whom.
    pub peer: Option<&'a NodeId>,
    /// How many.
    pub bytes: u64,
}

/// Lets bytes pass, now or later. Every bulk byte is charged exactly once per direction.
pub trait Shaper: Send + Sync + fmt::Debug {
    /// Charges for bytes. `None` means go ahead; otherwise wait for the future first. Dropping the
    /// future before it is ready takes the charge back.
    fn charge(&self, charge: &Charge<'_>) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>>;
}
