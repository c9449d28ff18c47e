//! Running a scenario: one seed, one thread, virtual time, and an end in any case.

use std::fmt;
use std::sync::mpsc;
use std::time::Duration;

use tokio::runtime::Builder;

use crate::network::{LinkSpec, Network};
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
        Self { seed, network, link: LinkSpec::default(), limit: Duration::from_secs(15 * 60) }
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
        let _watch = watch(self);
        let _log = log_if_asked();
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime without I/O needs nothing of the system");
        runtime.block_on(async {
            let world = SimWorld::new(self.seed, self.network, self.link);
            let _told = TellOnPanic(self, world.clone());
            let Ok(value) = tokio::time::timeout(self.limit, scenario(world.clone())).await else {
                panic!("{self}: not done after {:?} of virtual time", self.limit);
            };
            world.conclude();
            (value, world.trace().text())
        })
    }
}

impl fmt::Display for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sim::new(Network::{:?}, {}).link({:?})", self.network, self.seed, self.link)
    }
}

/// Says how to repeat a run that failed, and what happened last in it.
struct TellOnPanic(Sim, SimWorld);

impl Drop for TellOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.1.conclude();
            eprintln!("{}\nto repeat it: {}", self.1.trace().tail(TAIL_LINES), self.0);
        }
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
