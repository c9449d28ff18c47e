//! Running a scenario: one seed, one thread, virtual time, and an end in any case.

mod stuck;

use std::cell::OnceCell;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::runtime::Builder;
use tokio::time::Instant;

use self::stuck::Watched;
use crate::network::{LinkSpec, Network};
use crate::panics::Panics;
use crate::world::SimWorld;

/// Lines of the trace that a failed run prints.
const TAIL_LINES: usize = 40;
/// How long a run may keep its thread busy while no virtual time passes. No scenario takes a tenth of
/// it: a moment in which thousands of nodes start takes seconds.
const STUCK_AFTER: Duration = Duration::from_secs(300);

/// What a run depends on, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sim {
    seed: u64,
    network: Network,
    link: LinkSpec,
    limit: Duration,
    patience: Duration,
}

impl Sim {
    /// A run on a network, from a seed: a quarter of an hour of virtual time at most, the default links.
    pub fn new(network: Network, seed: u64) -> Self {
        let (limit, patience) = (Duration::from_secs(15 * 60), STUCK_AFTER);
        Self { seed, network, link: network.link(), limit, patience }
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
    /// If the scenario panics, is not done in time, or goes round in circles while no virtual time
    /// passes; the message says how to run it again, and the end of the trace is printed. A single step
    /// that never ends cannot be stopped: after ten minutes it ends the process, with the same message.
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
    /// If anything panics, or the scenario is not done in time, or no virtual time passes any more: what
    /// it was, and the trace until then.
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
        let (_log, world) = (log_if_asked(), OnceCell::new());
        let panics = Panics::of_this_run(silent);
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime without I/O needs nothing of the system");
        // The tests' threads have their names.
        let name = format!("{}: {self}", std::thread::current().name().unwrap_or("a run"));
        let watched = Watched::begin(runtime.metrics(), self.patience, name);
        let run = runtime.block_on(async {
            let made = SimWorld::new(self.seed, self.network, self.link);
            let world = world.get_or_init(|| made).clone();
            let started = Instant::now();
            let limited = tokio::time::timeout(self.limit, scenario(world.clone()));
            let run = tokio::select! {
                biased;
                run = AssertUnwindSafe(limited).catch_unwind() => Ok(run),
                () = watched.stuck() => Err(started.elapsed()),
            };
            world.conclude();
            run
        });
        let panicked = panics.first();
        drop(runtime);
        let world = world.into_inner();
        match (run, panicked) {
            (Ok(Ok(Ok(value))), None) => {
                Ok((value, world.map(|world| world.trace().text()).unwrap_or_default()))
            }
            (_, Some(what)) => Err(Failed { what, world }),
            (Err(at), None) => {
                let what = format!("goes round in circles: no virtual time passes after {at:?}");
                Err(Failed { what, world })
            }
            (Ok(_), None) => {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn impatient() -> Sim {
        Sim { patience: Duration::from_secs(1), ..Sim::new(Network::Memory, 7) }
    }

    /// Two tasks that wake each other for ever end this run, and no other.
    #[test]
    fn a_run_in_which_no_time_passes_fails() {
        let run = impatient().try_run(async |_| {
            tokio::time::sleep(Duration::from_secs(3)).await;
            loop {
                tokio::task::yield_now().await;
            }
        });
        let (what, _) = run.map(|((), _)| ()).unwrap_err();
        assert_eq!(what, "goes round in circles: no virtual time passes after 3s");
    }

    /// However long it takes: what counts is that time passes.
    #[test]
    fn a_run_that_is_slow_goes_on() {
        let run = impatient().try_run(async |_| {
            let mut state = 1_u64;
            for _ in 0..60 {
                tokio::time::sleep(Duration::from_millis(1)).await;
                for n in 0..600_000_u64 {
                    state = std::hint::black_box(state.wrapping_mul(6_364_136_223_846_793_005) ^ n);
                }
            }
        });
        assert_eq!(run.map(|((), _)| ()), Ok(()));
    }
}
