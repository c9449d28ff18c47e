//! What the job promises, as facts. `support` plays the driver by hand, `world` plays driver, peers
//! and store in virtual time.

#![expect(clippy::unwrap_used, reason = "a test proves its point")]
#![expect(clippy::wildcard_enum_match_arm, reason = "each test picks out the actions that it is about")]

mod abort;
mod agreement;
mod choice;
mod end;
mod fail_over;
mod findings;
mod levels;
mod listing;
mod m3db;
mod not_taken;
mod outlines;
mod property;
mod retries;
mod several;
mod stall;
mod status;
mod support;
mod voters;
mod window;
mod world;
