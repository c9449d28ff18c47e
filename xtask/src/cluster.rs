//! `cargo xtask cluster --nodes N`: real nodes on this machine until Ctrl-C, for trying things out.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use devcluster::{Cluster, NodeDir, Running};

use crate::programs::Programs;

/// Most nodes of one cluster on one machine.
const NODES_MAX: u16 = 64;
/// First UDP port unless another one is named.
const DEFAULT_PORT: u16 = 7400;
/// Wait before a crashed node is started again; doubled with every crash up to the cap, because a
/// node that crashes at once will do it again.
const BACK_OFF: Duration = Duration::from_secs(1);
const BACK_OFF_CAP: Duration = Duration::from_secs(30);
/// What every node holds, and who may do what: all that somebody may want to try.
const BODY: &str = "\
[[dataset]]
name = \"demo\"
[[access]]
who = \"*\"
datasets = \"*\"
verbs = [\"list\", \"fetch\", \"offer\"]
";

#[derive(Debug, PartialEq, Eq)]
struct Options {
    nodes: u16,
    base_port: u16,
    release: bool,
}

/// What the supervisor learns.
#[derive(Debug)]
enum Event {
    /// The node of this index has ended.
    Ended(usize),
    /// It is time to start it again.
    Due(usize),
    /// Somebody wants all of it to end.
    Stop,
}

/// A node with what is known of its crashes.
struct Supervised {
    dir: NodeDir,
    running: Option<Running>,
    back_off: Duration,
}

/// Options: `--nodes N`, `--base-port P` (node n listens on UDP port P + n - 1), `--release`.
pub(crate) fn run(root: &Path, options: &[String]) -> anyhow::Result<()> {
    let options = Options::parse(options)?;
    let profile = if options.release { "release" } else { "dev" };
    let programs = Programs::build(root, profile, &["--package", "peerstream-node"])?;
    let node = programs.path("peerstream")?;
    let at = root.join("target").join(format!("cluster-{}", std::process::id()));
    let outcome = Cluster::init(node, &at)
        .map_err(Into::into)
        .and_then(|cluster| supervise(&prepare(&cluster, &options)?));
    std::fs::remove_dir_all(&at).with_context(|| at.display().to_string())?;
    outcome
}

fn prepare(cluster: &Cluster, options: &Options) -> anyhow::Result<Vec<NodeDir>> {
    let addr = |n: u16| SocketAddr::from(([127, 0, 0, 1], options.base_port + n - 1));
    let peer = |n: u16| format!("[[peer]]\nnode = \"node-{n}\"\naddr = \"{}\"\n", addr(n));
    let nodes = (1..=options.nodes).map(|n| {
        let peers: String = (1..=options.nodes).filter(|&other| other != n).map(peer).collect();
        Ok(cluster.prepare(&format!("node-{n}"), addr(n), &format!("{BODY}{peers}"))?)
    });
    nodes.collect()
}

fn supervise(dirs: &[NodeDir]) -> anyhow::Result<()> {
    let (events, inbox) = mpsc::channel();
    stop_on_signal(events.clone())?;
    let new = |dir: &NodeDir| Supervised { dir: dir.clone(), running: None, back_off: BACK_OFF };
    let mut nodes: Vec<Supervised> = dirs.iter().map(new).collect();
    for (index, node) in nodes.iter_mut().enumerate() {
        node.start(index, &events)?;
        let (name, addr) = (&node.dir.name, node.running.as_ref().map(Running::addr));
        println!("{name} at {}", addr.map(|addr| addr.to_string()).unwrap_or_default());
        println!("  {} status --config {}", node.dir.binary.display(), node.dir.config().display());
    }
    println!("Ctrl-C stops all of them and removes their data");
    for event in &inbox {
        match event {
            Event::Stop => break,
            Event::Ended(index) => nodes[index].ended(index, &events),
            // A port that is still taken, say, is one more crash.
            Event::Due(index) => {
                if let Err(error) = nodes[index].start(index, &events) {
                    println!("{}: {error}", nodes[index].dir.name);
                    nodes[index].ended(index, &events);
                }
            }
        }
    }
    println!("stopping ...");
    for running in nodes.iter_mut().filter_map(|node| node.running.as_mut()) {
        running.terminate()?;
    }
    Ok(())
}

impl Supervised {
    fn start(&mut self, index: usize, events: &Sender<Event>) -> anyhow::Result<()> {
        let running = Running::start(self.dir.clone())?;
        let (log, events) = (running.log().clone(), events.clone());
        std::thread::spawn(move || {
            log.wait_for_end();
            // Nobody listens any more once all of it ends.
            events.send(Event::Ended(index)).ok();
        });
        self.running = Some(running);
        Ok(())
    }

    fn ended(&mut self, index: usize, events: &Sender<Event>) {
        let name = &self.dir.name;
        if let Some(mut running) = self.running.take() {
            let how = running.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
            println!("{name} ended ({how}); its last words:\n{}", running.log().tail());
        }
        println!("{name} is started again in {} s", self.back_off.as_secs());
        let (events, wait) = (events.clone(), self.back_off);
        self.back_off = (self.back_off * 2).min(BACK_OFF_CAP);
        std::thread::spawn(move || {
            let (_never_used, silence) = mpsc::channel::<()>();
            silence.recv_timeout(wait).ok();
            events.send(Event::Due(index)).ok();
        });
    }
}

/// Turns Ctrl-C and SIGTERM into an event, so that the nodes are stopped in order.
fn stop_on_signal(events: Sender<Event>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut terminate = {
        let _inside = runtime.enter();
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        });
        events.send(Event::Stop).ok();
    });
    Ok(())
}

impl Options {
    fn parse(args: &[String]) -> anyhow::Result<Self> {
        let mut options = Self { nodes: 0, base_port: DEFAULT_PORT, release: false };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().with_context(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--nodes" => options.nodes = value()?.parse().context("--nodes needs a number")?,
                "--base-port" => options.base_port = value()?.parse().context("--base-port needs a port")?,
                "--release" => options.release = true,
                unknown => bail!("cluster: unknown option {unknown:?}"),
            }
        }
        ensure!((1..=NODES_MAX).contains(&options.nodes), "--nodes N is needed, 1 to {NODES_MAX}");
        let fits = options.base_port > 0 && options.base_port.checked_add(options.nodes - 1).is_some();
        ensure!(fits, "--base-port {} leaves no room for {} nodes", options.base_port, options.nodes);
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> anyhow::Result<Options> {
        Options::parse(&args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_read() {
        let options = parse(&["--nodes", "5", "--base-port", "9000"]).unwrap();
        assert_eq!(options, Options { nodes: 5, base_port: 9000, release: false });
    }

    #[test]
    fn clusters_that_do_not_fit_are_refused() {
        for slip in
            [[].as_slice(), &["--nodes", "0"], &["--nodes", "65"], &["--nodes", "3", "--base-port", "65534"]]
        {
            assert!(parse(slip).is_err(), "{slip:?}");
        }
    }
}
