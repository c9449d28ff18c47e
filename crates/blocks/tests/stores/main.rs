//! The block stores through their contract: facts that hold for each of them, and crashes.

#![expect(clippy::unwrap_used, reason = "all of this is test code")]

mod common;
mod conformance;
mod crash;
mod deletes;
mod emptied;
#[cfg(feature = "fjall")]
mod fjall;
mod histories;
mod late;
mod m3db;
mod sizes;
