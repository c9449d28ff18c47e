//! Running a scenario: one seed, one thread, virtual time, and an end in any case.

use std::cell::OnceCell;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::mpsc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::runtime::Builder;

use crate::network::{LinkSpec, Network};
use crate::panics::Panics;
use crate::world::SimWorld;

/// Lines of the trace that a failed run prints.
const TAIL_LINES: usize = 40;
/// Wall time after which a run is taken for stuck in a loop that lets no virtual time pass. No
/// scenario takes a tenth of it.
const STUCK_AFTER: Duration = Duration::from_secs(300);

/// What a run depends on, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sim {
    seed: u64,
    network: Network,
    link: LinkSpec,
    limit: Duration,
}

impl Sim {
    /// A run on a network, from a seed: a quarter of an hour of virtual time at most, the default links.
    pub fn new(network: Network, seed: u64) -> Self {
        Self { seed, network, link: network.link(), limit: Duration::from_secs(15 * 60) }
    }

    /// With other links.
    #[must_use]
    pub fn link(self, link: LinkSpec) -> Self {
        Self { link, ..self }
    }

    /// With at most this much virtual time.
    #[must_use]
    pub fn limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// Runs a scenario to its end.
    ///
    /// # Panics
    ///
    /// If the scenario panics or is not done in time; the message says how to run it again, and the
    /// end of the trace is printed. A loop in which no virtual time passes ends the process.
    pub fn run<T>(self, scenario: impl AsyncFnOnce(SimWorld) -> T) -> T {
        self.run_traced(scenario).0
    }

    /// Runs a scenario to its end; also gives the trace of the run, which is the same for the same
    /// seed.
    ///
    /// # Panics
    ///
    /// As [`Sim::run`].
    pub fn run_traced<T>(self, scenario: impl AsyncFnOnce(SimWorld) -> T) -> (T, String) {
        self.conclude(false, scenario).unwrap_or_else(|Failed { what, world }| {
            let tail = world.map(|world| world.trace().tail(TAIL_LINES)).unwrap_or_default();
            panic!("{what}\n{tail}\nto repeat it: {self}");
        })
    }

    /// Runs a scenario to its end and prints nothing.
    ///
    /// # Errors
    ///
    /// If anything panics, or the scenario is not done in time: what it was, and the trace until then.
    pub fn try_run<T>(
        self,
        scenario: impl AsyncFnOnce(SimWorld) -> T,
    ) -> Result<(T, String), (String, String)> {
        self.conclude(true, scenario).map_err(|Failed { what, world }| {
            (what, world.map(|world| world.trace().text()).unwrap_or_default())
        })
    }

    fn conclude<T>(
        self,
        silent: bool,
        scenario: impl AsyncFnOnce(SimWorld) -> T,
    ) -> Result<(T, String), Failed> {
        let (_watch, _log, world) = (watch(self), log_if_asked(), OnceCell::new());
        let panics = Panics::of_this_run(silent);
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime without I/O needs nothing of the system");
        let run = runtime.block_on(async {
            let made = SimWorld::new(self.seed, self.network, self.link);
            let world = world.get_or_init(|| made).clone();
            let limited = tokio::time::timeout(self.limit, scenario(world.clone()));
            let run = AssertUnwindSafe(limited).catch_unwind().await;
            world.conclude();
            run
        });
        let panicked = panics.first();
        drop(runtime);
        let world = world.into_inner();
        match (run, panicked) {
            (Ok(Ok(value)), None) => Ok((value, world.map(|world| world.trace().text()).unwrap_or_default())),
            (_, Some(what)) => Err(Failed { what, world }),
            (_, None) => {
                let what = format!("not done after {:?} of virtual time", self.limit);
                Err(Failed { what, world })
            }
        }
    }
}

/// A run that failed.
struct Failed {
    what: String,
    world: Option<SimWorld>,
}

impl fmt::Display for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sim::new(Network::{:?}, {}).link({:?})", self.network, self.seed, self.link)
    }
}

/// Ends the process if the run is still going after [`STUCK_AFTER`]; dropping it ends the watch.
fn watch(sim: Sim) -> mpsc::Sender<()> {
    let (running, ended) = mpsc::channel::<()>();
    std::thread::spawn(move || {
        if ended.recv_timeout(STUCK_AFTER) == Err(mpsc::RecvTimeoutError::Timeout) {
            eprintln!("{sim}: still running after {STUCK_AFTER:?}: a loop lets no virtual time pass");
            std::process::exit(101);
        }
    });
    running
}

/// Logs of the engines on stderr, if `PEERSTREAM_SIM_LOG` holds a filter: `debug`, say.
fn log_if_asked() -> Option<impl Sized> {
    let filter = std::env::var("PEERSTREAM_SIM_LOG").ok()?;
    Some(log_to_stderr(&filter))
}

fn log_to_stderr(filter: &str) -> impl Sized + use<> {
    use tracing_subscriber::util::SubscriberInitExt;
    let log = tracing_subscriber::fmt().with_env_filter(filter).without_time().with_writer(std::io::stderr);
    log.set_default()
}
