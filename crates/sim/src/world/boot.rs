//! How nodes start, and start again.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use peerstream_engine::{Engine, Levels, Parts};
use peerstream_quic::BindError;
use peerstream_shape::PassThrough;
use peerstream_snapshot::{DiskError, Offload};
use peerstream_transport::PeerIdentity;
use peerstream_transport::access::SharedAccess;
use peerstream_types::Incarnation;

use super::SimWorld;
use crate::disk::SimDisk;
use crate::fault::{Effect, Tally};
use crate::node::{
    Cpu, GatedTransport, Life, Machine, Medium, NodeSpec, Process, SimNode, SimOffload, SimStore,
};
use crate::random::Random;
use crate::seam::Boot;
use crate::store_faults::StoreFaults;

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Its disk does not let it: it fails, or what is on it cannot be read.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Its transport does not: by its own clock, say, its certificate is not valid.
    #[error("the transport does not start: {0}")]
    Transport(#[from] BindError),
}

/// Where a node is started, and how often it was before.
struct Place {
    addr: SocketAddr,
    incarnation: Incarnation,
    machine: Machine,
}

impl SimWorld {
    /// Starts a node that holds shards.
    ///
    /// # Panics
    ///
    /// If the name is taken or is none.
    pub fn donor(&self, name: &str) -> SimNode {
        self.start(NodeSpec::donor(name))
    }

    /// Starts a node to be brought up.
    ///
    /// # Panics
    ///
    /// If the name is taken or is none.
    pub fn replica(&self, name: &str) -> SimNode {
        self.start(NodeSpec::replica(name))
    }

    /// Starts many nodes: `spec` is called with 0, 1, 2 and so on.
    ///
    /// # Panics
    ///
    /// If a name is taken.
    pub fn fleet(&self, count: u32, spec: impl FnMut(u32) -> NodeSpec) -> Vec<SimNode> {
        (0..count).map(spec).map(|spec| self.start(spec)).collect()
    }

    /// Starts a node.
    ///
    /// # Panics
    ///
    /// If the name is taken.
    pub fn start(&self, spec: NodeSpec) -> SimNode {
        let number = u16::try_from(self.nodes().len() + 1).expect("at most 65,535 nodes");
        let [high, low] = number.to_be_bytes();
        let addr = ([10, 0, high, low], 7400).into();
        let name = (spec.node.clone(), Some(spec.cluster.clone()));
        let taken = self.names().insert(name, addr);
        assert!(taken.is_none(), "{} is running already", spec.node);
        let tally = Tally::default();
        let machine = Machine {
            medium: Medium::new(&spec.store, &tally),
            faults: StoreFaults::none(tally.clone()),
            clock: self.0.clock.another(tally.clone()),
            cpu: Cpu::new(tally.clone()),
            tally,
        };
        let place = Place { addr, incarnation: Incarnation(1), machine };
        self.boot(spec, place).expect("an empty disk can be opened")
    }

    /// Starts a node again: the same name, place and machine, a newer life. One that runs is killed
    /// first.
    ///
    /// # Panics
    ///
    /// If it does not start: see [`SimWorld::try_restart`].
    pub fn restart(&self, node: &SimNode) -> SimNode {
        self.try_restart(node).unwrap_or_else(|error| panic!("{} does not start: {error}", node.id))
    }

    /// Starts a node again as [`SimWorld::restart`] does, if its disk and its clock let it.
    ///
    /// # Errors
    ///
    /// What keeps it from starting; the node stays down then.
    pub fn try_restart(&self, node: &SimNode) -> Result<SimNode, StartError> {
        let before = self.present(node);
        if before.is_running() {
            self.crash(&before);
        }
        let SimNode { id, spec, addr, machine, process, .. } = before;
        let tally = machine.tally.clone();
        let place = Place { addr, incarnation: Incarnation(process.incarnation.0 + 1), machine };
        match self.boot(spec, place) {
            Ok(node) => {
                tally.hit(Effect::Restarted);
                Ok(node)
            }
            Err(error) => {
                self.0.trace.note(id.as_str(), format_args!("does not start: {error}"));
                Err(error)
            }
        }
    }

    fn boot(&self, spec: NodeSpec, place: Place) -> Result<SimNode, StartError> {
        let Place { addr, incarnation, machine } = place;
        let (world, life) = (&self.0, self.begin_life(addr));
        let offload: Arc<dyn Offload> = Arc::new(SimOffload::new(machine.cpu.clone(), life.clone()));
        let store = open_store(&machine, &life, offload.clone())?;
        let identity = PeerIdentity { cluster: spec.cluster.clone(), node: spec.node.clone() };
        world.placement.add(&spec.node, addr);
        if spec.holder {
            world.placement.add_holder(&spec.node);
        }
        let seed = Random::fork(world.seed, addr_number(addr) << 16 | incarnation.0).draw();
        let uplink = world.net.uplink(&identity, addr, seed, machine.clock.clone(), spec.certificate_days)?;
        let boot = Boot {
            identity,
            incarnation,
            config: spec.config.clone(),
            store: store.observed(),
            blocks: store.on_blocks().cloned(),
            access: SharedAccess::new(spec.access.clone()),
            lag: machine.medium.lag(),
        };
        let levels = Levels::default();
        let (shaper, datasets) =
            (Arc::new(PassThrough::default()), SimNode::datasets_of(&spec, &store, &machine.faults, &life));
        let parts = Parts {
            node: spec.node.clone(),
            cluster: spec.cluster.clone(),
            incarnation,
            transport: Arc::new(GatedTransport::new(uplink.transport(), life.clone())),
            datasets: datasets.clone(),
            placement: Arc::new(world.placement.clone()),
            access: boot.access.clone(),
            shaper: shaper.clone(),
            offload,
            levels: levels.clone(),
            wall_clock: Arc::new(machine.clock.clone()),
            seed,
        };
        let parts = world.seams.wrap(&boot, parts);
        let config = world.seams.configure(&boot, spec.config.clone());
        world.trace.note(spec.node.as_str(), format_args!("boot {incarnation} at {addr}"));
        let node = SimNode {
            id: spec.node.clone(),
            addr,
            engine: Engine::start(config, parts),
            store,
            faults: machine.faults.clone(),
            shaper,
            access: boot.access.clone(),
            levels,
            datasets,
            spec,
            machine,
            process: Process { incarnation, life, uplink },
            trace: world.trace.clone(),
        };
        world.seams.started(&boot, &node.engine);
        self.nodes().insert(addr, node.clone());
        Ok(node)
    }

    /// A process at an address, which ends there if it ends by itself.
    fn begin_life(&self, addr: SocketAddr) -> Life {
        let world = Arc::downgrade(&self.0);
        Life::begin(move |end| {
            if let Some(world) = world.upgrade().map(SimWorld) {
                world.end_at(addr, end);
            }
        })
    }
}

/// What a node has, as a new process finds it.
fn open_store(machine: &Machine, life: &Life, offload: Arc<dyn Offload>) -> Result<SimStore, DiskError> {
    match &machine.medium {
        Medium::Memory(store) => Ok(SimStore::memory(store.clone())),
        Medium::Own(own) => Ok(SimStore::own(own)),
        Medium::Blocks(unit, options) => {
            let disk = SimDisk::new(unit.clone(), life.clone(), machine.clock.clone());
            Ok(SimStore::in_blocks(disk, options.clone()))
        }
        Medium::Disk(unit) => {
            let disk = SimDisk::new(unit.clone(), life.clone(), machine.clock.clone());
            let losses = unit.power_losses();
            let store = SimStore::on_disk(disk, offload)?;
            if unit.power_losses() == losses {
                return Ok(store);
            }
            let lost = std::io::Error::other("the power was lost meanwhile");
            Err(DiskError::new("open", Path::new("/"), &lost))
        }
    }
}

fn addr_number(addr: SocketAddr) -> u64 {
    match addr.ip() {
        std::net::IpAddr::V4(ip) => u64::from(ip.to_bits()),
        std::net::IpAddr::V6(ip) => ip.to_bits() as u64,
    }
}
