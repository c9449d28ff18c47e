//! A node's process.

use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::{Error, Log, NodeDir, Result};

/// How long a node may take from its start to its readiness. It has nothing to do but to open files.
const START_WAIT: Duration = Duration::from_secs(30);
/// What it says then.
const READY: &str = "peerstream_node::cli::node: ready";

/// A node that runs; killed, and waited for, when it is dropped.
#[derive(Debug)]
pub struct Running {
    dir: NodeDir,
    child: Child,
    log: Log,
    addr: SocketAddr,
}

impl Running {
    /// Starts a node and waits until it is ready. Its log goes to the end of `log` in its directory.
    ///
    /// # Errors
    ///
    /// Whatever the node says when it cannot start.
    pub fn start(dir: NodeDir) -> Result<Self> {
        let mut command = dir.command("node");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = child.map_err(Error::at(dir.binary.display()))?;
        let stderr = child.stderr.take().ok_or_else(|| Error::new("the process has no standard error"))?;
        let log = Log::follow(stderr, &dir.path.join("log"))?;
        let mut running = Self { dir, child, log, addr: SocketAddr::from(([0, 0, 0, 0], 0)) };
        running.log.wait_for(READY, START_WAIT)?;
        let told = running.dir.data().join("listen");
        let text = std::fs::read_to_string(&told).map_err(Error::at(told.display()))?;
        running.addr = text.trim().parse().map_err(|_| Error::new(format!("{text:?} is no address")))?;
        Ok(running)
    }

    /// Where its files are.
    pub fn dir(&self) -> &NodeDir {
        &self.dir
    }

    /// Where peers reach it.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What it said so far.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The piece of config that makes it a peer of another node.
    pub fn as_peer(&self) -> String {
        format!("[[peer]]\nnode = \"{}\"\naddr = \"{}\"\n", self.dir.name, self.addr)
    }

    /// The program with one of its commands, aimed at this node.
    pub fn command(&self, command: &str) -> Command {
        self.dir.command(command)
    }

    /// Kills it without a warning, as a crash does.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.child.kill().map_err(Error::at("kill"))?;
        self.child.wait().map_err(Error::at("wait"))
    }

    /// Asks it to stop with SIGTERM and waits until it has.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        self.ask_to_stop()?;
        self.wait()
    }

    /// Asks it to stop with SIGTERM.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn ask_to_stop(&self) -> Result<()> {
        send(&self.child, Signal::TERM)
    }

    /// Asks it with SIGHUP to load its config afresh.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn hang_up(&self) -> Result<()> {
        send(&self.child, Signal::HUP)
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        self.child.wait().map_err(Error::at("wait"))
    }
}

/// Sends a command what Ctrl-C sends it.
///
/// # Errors
///
/// What the system says.
pub fn interrupt(child: &Child) -> Result<()> {
    send(child, Signal::INT)
}

fn send(child: &Child, signal: Signal) -> Result<()> {
    kill_process(Pid::from_child(child), signal).map_err(|error| Error::new(format!("kill: {error}")))
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
