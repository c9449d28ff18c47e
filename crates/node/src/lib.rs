//! The peerstream node: config, command line and admin API around the engine.
//!
//! The binary `peerstream` is [`main`]. What is public beside it is for tests and tools that talk to
//! a node: the [`config`], and the client and the words of the [`admin`] API.
//!
//! # Example
//!
//! ```no_run
//! use peerstream_node::admin::AdminClient;
//! use peerstream_node::admin::model::PlanRequest;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let node = AdminClient::new("/var/lib/peerstream/admin.sock");
//! let plan = node.start(&PlanRequest::Bootstrap { what: "metrics".into(), from: vec![] }).await?;
//! let mut watch = node.watch(&plan.plan).await?;
//! while let Some(plan) = watch.next().await? {
//!     println!("{} of {:?} bytes", plan.bytes_done, plan.bytes_total);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Map
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | [`Config`](config::Config): the file, its defaults, what stands over it |
//! | [`node`] | [`Node`](node::Node): start, reload, shut down |
//! | [`admin`] | the API on the Unix socket, its words, its client |
//! | [`failure`] | [`Failure`](failure::Failure): what happened, and what to do |
//! | [`clock`] | the wall clock |
//! | `cli`, `logging` | the command line, the log |
//!
//! # Not here
//!
//! Everything that moves bytes (`peerstream-engine` and below). Metrics, TCP for the admin API, and
//! hooks for stores in other languages are still missing.

pub mod admin;
mod cli;
pub mod clock;
pub mod config;
pub mod failure;
mod logging;
pub mod node;

/// Runs the command line of this process, and says how it ended: 0 if what was asked for is done
/// (published, for plans), 1 if not, 2 for a command line that cannot be read, 130 if the person
/// detached from it.
pub fn main() -> std::process::ExitCode {
    cli::run()
}
