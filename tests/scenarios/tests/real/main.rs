//! Real nodes as processes, over real UDP, with real signals. One scenario per file.
#![expect(clippy::unwrap_used, reason = "tests may, and so may what they share")]

mod access;
mod bring_up;
mod changed_file;
mod checkpoint;
mod consistency;
mod detach;
mod donor_at_every_tenth;
mod push;
mod receiver_at_every_tenth;
mod reload;
mod rocksdb;
mod several_donors;
mod stop;
mod support;
mod unread_log;
