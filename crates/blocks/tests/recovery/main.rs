//! Mergeable datasets over real engines, in virtual time: block stores that bring each other up, over the
//! in-memory transport.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

mod cluster;
mod deletes;
mod dropped;
mod fan_out;
mod live;
mod refused;
mod tags;
mod union;
