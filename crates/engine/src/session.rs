//! Sessions as tasks: each drives one pure state machine over its control stream.

mod acks;
mod adopt;
mod command;
mod driver;
mod events;
mod handle;
mod hold;
mod initiate;
mod leases;
mod routes;
mod table;

pub(crate) use acks::join_span;
pub(crate) use adopt::adopt;
pub(crate) use command::{Ask, Command};
pub(crate) use driver::Driver;
pub(crate) use handle::{Request, SessionEnd, SessionHandle};
pub(crate) use hold::Hold;
pub(crate) use initiate::{Opened, Opening, OpeningFailed, Outgoing, Route, Wanted, initiate, offer_id};
pub(crate) use leases::{Lease, LeaseEnd, Leases};
pub(crate) use routes::{Answer, DataStream, Routes};
pub(crate) use table::SessionTable;
