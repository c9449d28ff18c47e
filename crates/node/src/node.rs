//! A running node: the engine with its stores, its transport, and what changes while it runs.

mod checkpoints;
mod cleaning;
mod consistency;
mod data_dir;
mod datasets;
mod held;
mod hook;
mod pace;
pub(crate) mod placement;
mod reload;
pub(crate) mod request;
mod shutdown;
mod start;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use peerstream_engine::{Engine, PlanState, StreamPlan};
use peerstream_quic::QuicTransport;
use peerstream_shape::{Class, Direction, PassThrough};
use peerstream_transport::Transport;
use peerstream_types::{Incarnation, PlanId};

pub(crate) use datasets::check_directory;
pub use reload::ReloadReport;
pub(crate) use shutdown::wait_for_impatience;
pub use shutdown::wait_for_signal;
pub(crate) use start::credentials;

use crate::admin::model::TrafficView;
use crate::config::Config;
use cleaning::Cleaning;
pub(crate) use consistency::Consistency;
use data_dir::DataDir;
pub(crate) use held::Held;
use placement::{Placed, Watching};
use reload::Reload;

/// A node that runs. Shared by the admin API and the signal handlers.
#[derive(Debug)]
pub struct Node {
    config: Config,
    incarnation: Incarnation,
    engine: Engine,
    transport: Arc<QuicTransport>,
    traffic: Arc<PassThrough>,
    held: Vec<Arc<Held>>,
    reload: Reload,
    placement: Placed,
    consistency: Consistency,
    started: tokio::time::Instant,
    draining: AtomicBool,
    data_dir: DataDir,
    _cleaning: Cleaning,
    _watching: Option<Watching>,
}

impl Node {
    /// The configuration that it was started with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Which boot this is.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// Where peers reach it.
    pub fn local_addr(&self) -> std::net::SocketAddr {
        self.transport.local_addr()
    }

    /// What moves bytes.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// How long it has been running.
    pub fn uptime(&self) -> std::time::Duration {
        self.started.elapsed()
    }

    /// Whether it takes new work.
    pub fn is_ready(&self) -> bool {
        !self.draining.load(Ordering::Relaxed)
    }

    /// Where a plan stands; `None` for one that is not known, or no longer.
    pub fn plan(&self, id: PlanId) -> Option<PlanState> {
        self.engine.plans().into_iter().find(|plan| plan.plan == id)
    }

    /// Starts a plan.
    ///
    /// # Errors
    ///
    /// As [`Engine::execute`] says.
    pub fn execute(&self, plan: StreamPlan) -> Result<PlanState, peerstream_engine::PlanError> {
        // The engine keeps the plan going and remembers how it ended; nobody has to hold the handle.
        self.engine.execute(plan).map(|handle| handle.state())
    }

    /// Bulk bytes that have passed since the start, by class; classes without any are left out.
    pub fn traffic(&self) -> BTreeMap<&'static str, TrafficView> {
        let view = |class| TrafficView {
            sent: self.traffic.bytes(class, Direction::Send),
            received: self.traffic.bytes(class, Direction::Receive),
            read: self.traffic.bytes(class, Direction::Read),
        };
        let classes = Class::ALL.into_iter().map(|class| (class_name(class), view(class)));
        classes.filter(|(_, view)| *view != TrafficView::default()).collect()
    }

    /// Why the placement file as it is now is not in force; the last good one is.
    pub fn placement_fault(&self) -> Option<String> {
        self.placement.fault()
    }

    /// How many replicas have to agree.
    pub(crate) fn consistency(&self) -> &Consistency {
        &self.consistency
    }

    /// Takes certificates, access rules, peers and levels afresh from the file.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the file; then nothing has changed.
    pub fn reload(&self) -> crate::failure::Result<ReloadReport> {
        self.reload.run(&self.config)
    }

    /// The datasets that it holds.
    pub(crate) fn held(&self) -> &[Arc<Held>] {
        &self.held
    }

    /// Takes no more work, waits for what is under way up to the drain limit, tells the peers, and
    /// closes.
    pub async fn shut_down(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.engine.shutdown().await;
        self.data_dir.forget_listen_addr();
    }
}

fn class_name(class: Class) -> &'static str {
    match class {
        Class::Control => "control",
        Class::Bootstrap => "bootstrap",
        Class::Replication => "replication",
        Class::Repair => "repair",
        Class::BulkLoad => "bulk-load",
        Class::Query => "query",
        Class::DiskRead => "disk-read",
    }
}
