//! Puts a node together.

use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use peerstream_engine::{Engine, Parts};
use peerstream_quic::{CredentialFiles, Credentials, QuicTransport};
use peerstream_shape::PassThrough;
use peerstream_snapshot::{BlockingPool, RealDisk};
use peerstream_transport::{SharedAccess, Transport};

use super::Node;
use super::cleaning;
use super::consistency::Consistency;
use super::data_dir::DataDir;
use super::datasets::{self, Seams, Stores};
use super::pace::Pace;
use super::placement::Placed;
use super::reload::Reload;
use crate::clock::SystemClock;
use crate::config::{Config, Overrides};
use crate::failure::{Failure, Result};

impl Node {
    /// Starts a node within a tokio runtime. `path` and `overrides` are where the configuration came
    /// from, for the next reload.
    ///
    /// # Errors
    ///
    /// Says which setting, file or address is at fault. Nothing is left running.
    pub async fn start(config: Config, path: &Path, overrides: &Overrides) -> Result<Self> {
        let credentials = credentials(&config)?;
        let placement = Placed::of(&config)?;
        let data_dir = DataDir::open(&config.data_dir)?;
        let consistency = Consistency::open(data_dir.consistency(), &config.consistency)?;
        let incarnation = data_dir.next_incarnation(&SystemClock)?;
        let traffic = Arc::new(PassThrough::default());
        let pace = Pace(traffic.clone());
        let seams = Seams { disk: RealDisk::new(), pool: BlockingPool::new(), pace };
        let Stores { held, received } = datasets::open(&config, &data_dir, &seams).await?;
        let quic = config.limits.transport();
        let transport = QuicTransport::bind(config.listen, &quic, &credentials, Arc::new(SystemClock))
            .map_err(|error| {
                Failure::new(error).hint("see `listen` in the config; port 0 picks a free one")
            })?;
        let transport = Arc::new(transport);
        data_dir.tell_listen_addr(transport.local_addr())?;
        let access = SharedAccess::new(config.access.clone());
        let parts = Parts {
            node: config.node.clone(),
            cluster: config.cluster.clone(),
            incarnation,
            transport: transport.clone(),
            datasets: datasets::for_engine(&held),
            placement: Arc::new(placement.clone()),
            levels: consistency.levels().clone(),
            access: access.clone(),
            shaper: traffic.clone(),
            offload: Arc::new(seams.pool),
            wall_clock: Arc::new(SystemClock),
            seed: seed(),
        };
        let reload = Reload {
            path: path.to_owned(),
            overrides: overrides.clone(),
            transport: transport.clone(),
            access,
            placement: placement.clone(),
            consistency: consistency.clone(),
            in_force: Mutex::new(config.clone()),
        };
        Ok(Self {
            engine: Engine::start(config.engine(), parts),
            incarnation,
            transport,
            traffic,
            _cleaning: cleaning::start(held.clone(), received),
            held,
            reload,
            _watching: placement.watch(config.placement.poll.0),
            placement,
            consistency,
            config,
            started: tokio::time::Instant::now(),
            draining: AtomicBool::new(false),
            data_dir,
        })
    }
}

/// Loads the node's certificate, key and CA, and checks that they are this node's.
pub(crate) fn credentials(config: &Config) -> Result<Credentials> {
    let tls = &config.tls;
    let files = CredentialFiles { roots: tls.ca.clone(), chain: tls.cert.clone(), key: tls.key.clone() };
    let credentials = Credentials::from_files(&files).map_err(|error| {
        Failure::new(format!("tls: {error}")).hint(
            "`peerstream ca init` and `peerstream ca issue` make certificates for a development cluster",
        )
    })?;
    let named = credentials.identity();
    if named.node != config.node || named.cluster != config.cluster {
        let what = format!(
            "tls.cert: {} is of {named}, but this node is {}.{}",
            tls.cert.display(),
            config.node,
            config.cluster
        );
        return Err(Failure::new(what)
            .hint("set `node` and `cluster` to what the certificate says, or issue another"));
    }
    Ok(credentials)
}

/// A number that differs from boot to boot: the standard library's hash keys come from the system's
/// random source.
fn seed() -> u64 {
    RandomState::new().hash_one(0)
}
