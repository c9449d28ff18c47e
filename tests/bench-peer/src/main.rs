//! One end of a measured transfer: `cargo xtask bench` starts two of these per run.
//!
//! ```text
//! bench-peer certs --cert-dir DIR                       certificates for all that follow
//! bench-peer serve --dir DIR --listen ADDR --cert-dir DIR [--mtu N] [--shards N] [--name NAME] [--rate N]
//! bench-peer fetch --from ADDR,.. --to DIR --cert-dir DIR [--mtu N] [--shards N] [--sync] [--identical]
//! bench-peer raw-send --bytes N --listen ADDR --cert-dir DIR [--mtu N] [--streams N]
//! bench-peer raw-recv --from ADDR --cert-dir DIR [--mtu N] [--to FILE]
//! bench-peer make A|B|C|D --dir DIR [--short] [--mib N] [--sparse]
//! bench-peer compare LEFT RIGHT                         fails unless they hold the same files
//! ```
//!
//! A rate is in bytes a second. Donors are called `donor`, `donor-2`, `donor-3`, in the order of their
//! addresses.
//!
//! Whatever answers prints one line of JSON. `serve` and `raw-send` print one when they are ready,
//! and run until their input ends or they are killed: nothing stays behind a bench that is cut off.
#![expect(clippy::print_stdout, reason = "it answers the bench")]

mod capped;
mod compare;
mod engine;
mod fetch;
mod identity;
mod options;
mod raw;
mod serve;
mod unsynced;
mod usage;
mod workload;

use std::process::ExitCode;

use options::Options;

type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-peer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<()> {
    let (command, args) = args.split_first().ok_or("no command given")?;
    let options = Options::parse(args)?;
    match command.as_str() {
        "certs" => identity::issue(&options.path("cert-dir")?),
        "serve" => on_runtime(serve::run(&options)),
        "fetch" => on_runtime(fetch::run(&options)),
        "raw-send" => on_runtime(raw::send(&options)),
        "raw-recv" => on_runtime(raw::receive(&options)),
        "make" => workload::run(&options),
        "compare" => compare::run(&options),
        unknown => Err(format!("unknown command {unknown:?}").into()),
    }
}

/// The runtime of the node.
fn on_runtime(work: impl Future<Output = Result<()>>) -> Result<()> {
    usage::raise_open_files();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(work);
    runtime.shutdown_background();
    ended
}

/// Ready once standard input has ended: whoever started this process is gone, or wants it gone.
async fn input_ended() {
    let (open, ended) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink()).ok();
        drop(open);
    });
    ended.await.ok();
}

/// The one line that the bench reads.
fn say(line: &serde_json::Value) {
    println!("{line}");
}
