//! Sessions from outside: two ends and a virtual clock, stories, the table, chaos.

#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests are tests, and a test picks the one event that it is about"
)]

mod chaos;
mod completion;
mod failure;
mod handshake;
mod make;
mod notices;
mod pair;
mod prepare;
mod sequence;
mod table;
mod transfer;
