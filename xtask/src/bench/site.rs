//! The directory of a run, the peer program, and warm memory.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, ensure};

use super::workload::{Made, Size, Workload};
use crate::programs::Programs;

/// Free memory that the feeder leaves, in MiB: what a transfer takes within a few of its looks, many
/// times over.
const FREE_MIB: &str = "400";

/// A directory that goes away with the run, and the program at both ends.
#[derive(Debug)]
pub(super) struct Site {
    dir: PathBuf,
    peer: PathBuf,
    feeder: Option<Feeder>,
}

impl Site {
    /// Builds the peer program and makes a directory below `below`.
    pub(super) fn open(root: &Path, below: &Path, feeder: bool) -> anyhow::Result<Self> {
        println!("building with profile release ...");
        let programs = Programs::build(root, "release", &["--package", "bench-peer"])?;
        let peer = programs.path("bench-peer")?.to_path_buf();
        let below = std::fs::canonicalize(below).with_context(|| below.display().to_string())?;
        let dir = below.join(format!("peerstream-bench-{}", std::process::id()));
        std::fs::create_dir(&dir).with_context(|| dir.display().to_string())?;
        let mut site = Self { dir, peer, feeder: None };
        remove_on_signal(site.dir.clone())?;
        site.tell(&["certs", "--cert-dir"], &[&site.certs()])?;
        if feeder {
            site.feeder = Some(Feeder::start(programs.path("hold-memory")?)?);
        }
        Ok(site)
    }

    /// A path in the directory.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(super) fn certs(&self) -> PathBuf {
        self.path("certs")
    }

    /// The peer program with one of its commands.
    pub(super) fn peer(&self, command: &str) -> Command {
        let mut peer = Command::new(&self.peer);
        peer.arg(command);
        peer
    }

    /// Makes a workload.
    pub(super) fn make(&self, workload: Workload, short: bool) -> anyhow::Result<Made> {
        let flag = if short { ["--short"].as_slice() } else { &[] };
        self.make_with(workload, flag)
    }

    pub(super) fn make_with(&self, workload: Workload, options: &[&str]) -> anyhow::Result<Made> {
        let dir = self.path(workload.name());
        println!("making workload {workload} ...");
        let args = [&["make", workload.name()], options, &["--dir"]].concat();
        let size: Size = serde_json::from_str(&self.tell(&args, &[&dir])?)?;
        Ok(Made { dir, size })
    }

    /// Removes a workload.
    pub(super) fn unmake(&self, made: &Made) -> anyhow::Result<()> {
        std::fs::remove_dir_all(&made.dir).with_context(|| made.dir.display().to_string())
    }

    /// Fails unless two directories hold the same files.
    pub(super) fn compare(&self, left: &Path, right: &Path) -> anyhow::Result<()> {
        self.tell(&["compare"], &[left, right]).map(drop)
    }

    /// Makes everything durable that was written here before.
    pub(super) fn sync(&self) -> anyhow::Result<()> {
        let synced = Command::new("sync").arg("-f").arg(&self.dir).status().context("sync")?;
        ensure!(synced.success(), "sync -f {} failed", self.dir.display());
        Ok(())
    }

    /// Takes all free memory but a little into the feeder, if there is one.
    pub(super) fn warm(&mut self) -> anyhow::Result<()> {
        self.feeder.as_mut().map_or(Ok(()), Feeder::fill)
    }

    fn tell(&self, args: &[&str], paths: &[&Path]) -> anyhow::Result<String> {
        let output = Command::new(&self.peer).args(args).args(paths).output();
        let output = output.with_context(|| self.peer.display().to_string())?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {}", args.join(" "), said.trim());
        Ok(String::from_utf8(output.stdout)?)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.dir) {
            println!("{} is still there: {error}", self.dir.display());
        }
    }
}

/// Ctrl-C removes the directory, which may be memory. Peers that serve end with this process.
fn remove_on_signal(dir: PathBuf) -> anyhow::Result<()> {
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
        std::fs::remove_dir_all(&dir).ok();
        std::process::exit(130);
    });
    Ok(())
}

/// The process that keeps free memory scarce and warm; its source says why.
#[derive(Debug)]
struct Feeder {
    child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Feeder {
    fn start(program: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.arg(FREE_MIB).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| program.display().to_string())?;
        let asks = child.stdin.take().context("the feeder has no input")?;
        let answers = BufReader::new(child.stdout.take().context("the feeder has no output")?);
        Ok(Self { child, asks, answers })
    }

    fn fill(&mut self) -> anyhow::Result<()> {
        self.asks.write_all(b"fill\n")?;
        let mut answer = String::new();
        ensure!(self.answers.read_line(&mut answer)? > 0, "the feeder has ended");
        Ok(())
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
