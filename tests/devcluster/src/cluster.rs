//! A directory with a CA, in which nodes live.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::{Error, Result, Running};

/// The name of every development cluster.
const NAME: &str = "demo.internal";
/// A piece of config: every member of the cluster may list and read all that is held.
pub const SERVE_EVERYTHING: &str = "\
[[access]]
who = \"*\"
datasets = \"*\"
verbs = [\"list\", \"fetch\"]
";

/// A directory with a CA, in which nodes live: each has its config, its certificate, its data and
/// its log in a directory of its own.
#[derive(Debug, Clone)]
pub struct Cluster {
    binary: PathBuf,
    root: PathBuf,
}

/// Where a node lives.
#[derive(Debug, Clone)]
pub struct NodeDir {
    /// The program that runs it.
    pub binary: PathBuf,
    /// The node's id.
    pub name: String,
    /// Its directory.
    pub path: PathBuf,
}

impl Cluster {
    /// Makes a CA in `root`, which is made if it is missing. `binary` is the program `peerstream`.
    ///
    /// # Errors
    ///
    /// If the program says so, or cannot be run.
    pub fn init(binary: impl Into<PathBuf>, root: impl Into<PathBuf>) -> Result<Self> {
        let (binary, root) = (binary.into(), root.into());
        fs::create_dir_all(&root).map_err(Error::at(root.display()))?;
        let root = fs::canonicalize(&root).map_err(Error::at(root.display()))?;
        let cluster = Self { binary, root };
        let ca = cluster.ca();
        succeed(cluster.program().args(["ca", "init", "--cluster", NAME, "--dir"]).arg(ca))?;
        Ok(cluster)
    }

    /// Sets a node up without starting it: its certificate and its config, which gets `body` after
    /// the node's id, address and TLS settings. Port 0 lets the system choose.
    ///
    /// # Errors
    ///
    /// If the certificate cannot be issued or the config cannot be written.
    pub fn prepare(&self, name: &str, listen: SocketAddr, body: &str) -> Result<NodeDir> {
        let dir = NodeDir { binary: self.binary.clone(), name: name.to_owned(), path: self.root.join(name) };
        let issue = ["ca", "issue", "--force", "--node", name, "--dir"];
        succeed(self.program().args(issue).arg(self.ca()).arg("--out").arg(&dir.path))?;
        dir.configure(listen, body)?;
        Ok(dir)
    }

    /// Sets a node up on a port of the system's choice, starts it and waits until it is ready.
    ///
    /// # Errors
    ///
    /// Whatever the node says when it cannot start.
    pub fn start(&self, name: &str, body: &str) -> Result<Running> {
        Running::start(self.prepare(name, SocketAddr::from(([127, 0, 0, 1], 0)), body)?)
    }

    /// The directory of a node, whether it exists or not.
    pub fn dir_of(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn ca(&self) -> PathBuf {
        self.root.join("ca")
    }

    fn program(&self) -> Command {
        Command::new(&self.binary)
    }
}

impl NodeDir {
    /// Writes the config anew. A running node takes it at the next reload.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn configure(&self, listen: SocketAddr, body: &str) -> Result<()> {
        let Self { name, .. } = self;
        let text = format!(
            "node = \"{name}\"\ncluster = \"{NAME}\"\nlisten = \"{listen}\"\n\
             [tls]\nca = \"ca.crt\"\ncert = \"{name}.crt\"\nkey = \"{name}.key\"\n{body}\n"
        );
        let path = self.config();
        fs::write(&path, text).map_err(Error::at(path.display()))
    }

    /// Its config file.
    pub fn config(&self) -> PathBuf {
        self.path.join("node.toml")
    }

    /// Its data directory.
    pub fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    /// Its admin socket.
    pub fn socket(&self) -> PathBuf {
        self.data().join("admin.sock")
    }

    /// Where the published content of a shard (`dataset@version/index`) is.
    pub fn published(&self, shard: &str, generation: u64) -> PathBuf {
        self.data().join("store").join(shard).join("generations").join(generation.to_string()).join("data")
    }

    /// The program with one of its commands, aimed at this node.
    pub fn command(&self, command: &str) -> Command {
        let mut program = Command::new(&self.binary);
        program.arg(command).arg("--config").arg(self.config());
        program
    }
}

/// Runs a command to its end; what it says becomes the error if it fails.
fn succeed(command: &mut Command) -> Result<Output> {
    let program = Path::new(command.get_program()).display().to_string();
    let output = command.output().map_err(Error::at(program))?;
    if output.status.success() {
        return Ok(output);
    }
    Err(Error::new(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim())))
}
