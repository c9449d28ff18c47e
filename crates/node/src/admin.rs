//! The admin API: HTTP on a Unix socket that only the node's user may open, and its client.
//!
//! | request | answer |
//! |---|---|
//! | `GET /healthz` | 200 while the process lives |
//! | `GET /readyz` | 200 while it takes work, 503 while it drains |
//! | `GET /v1/status` | [`model::NodeView`] |
//! | `POST /v1/plans` | starts a [`model::PlanRequest`], 201 with [`model::PlanView`] |
//! | `GET /v1/plans/{id}` | [`model::PlanView`] |
//! | `GET /v1/plans/{id}/events` | server-sent events, each a [`model::PlanView`], until it has ended |
//! | `POST /v1/plans/{id}/abort` | [`model::AbortRequest`]; 202 |
//! | `GET /v1/consistency` | [`consistency::ConsistencyView`], of the node, or of `?dataset=`, `&shard=` and `&plan=` |
//! | `PUT /v1/consistency` | takes a [`consistency::ConsistencyRequest`], answers [`consistency::ConsistencyChange`] |
//! | `POST /v1/reload` | [`ReloadReport`](crate::node::ReloadReport) |
//!
//! Errors are a [`model::ErrorView`] with a status of 4xx or 5xx.

pub mod client;
pub mod consistency;
pub mod model;
mod problem;
mod routes;
mod server;
mod socket;
mod views;

pub use client::{AdminClient, ClientError, PlanWatch};
pub(crate) use server::AdminServer;
