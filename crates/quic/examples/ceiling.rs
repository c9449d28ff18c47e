//! The ceiling of the transport: bytes from memory to memory over one stream, two processes, no files.
//!
//! ```text
//! cargo build --release -p peerstream-quic --example ceiling
//! target/release/examples/ceiling both --gib 1 --mtu 8972 --rounds 5
//! target/release/examples/ceiling recv --dir D --listen 127.0.0.1:7400
//! target/release/examples/ceiling send --dir D --to 127.0.0.1:7400 --gib 1
//! ```
//!
//! `recv` leaves the certificates of both ends in D. Each end prints MiB/s and CPU seconds per GiB
//! (user and system time of its whole process, in steps of 10 ms); `both` runs the two and adds them up.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use peerstream_quic::{CertificateAuthority, CredentialFiles, Credentials, QuicConfig, QuicTransport};
use peerstream_transport::{Lane, RecvStreamExt, SendStreamExt, Target, Transport};
use peerstream_types::{ClusterName, NodeId, WallClock};
use tokio::time::Instant;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// One write, as the engine does it.
const WRITE: usize = 64 * 1024;
/// Threads of the runtime that reads and writes.
const WORKERS: usize = 2;
/// One read at most.
const READ: usize = 1024 * 1024;
/// Clock ticks per second in /proc, on every Linux that is in use.
const TICKS: f64 = 100.0;
const MIB: f64 = 1024.0 * 1024.0;
const RECV: &str = "recv";
const SEND: &str = "send";

fn main() -> Result<(), Failure> {
    let options = Options::parse()?;
    match options.command.as_str() {
        RECV => options.run(recv(&options)),
        SEND => options.run(send(&options)),
        "both" => both(&options),
        other => Err(format!("no such command: {other}; there are recv, send and both").into()),
    }
}

/// `--name value` pairs.
struct Options {
    command: String,
    values: BTreeMap<String, String>,
}

impl Options {
    fn parse() -> Result<Self, Failure> {
        let mut arguments = std::env::args().skip(1);
        let command = arguments.next().unwrap_or_else(|| "both".to_owned());
        let mut values = BTreeMap::new();
        while let Some(name) = arguments.next() {
            let name = name.strip_prefix("--").ok_or("options are --name value")?.to_owned();
            values.insert(name, arguments.next().ok_or("an option has no value")?);
        }
        Ok(Self { command, values })
    }

    fn get<T: std::str::FromStr>(&self, name: &str, default: T) -> Result<T, Failure> {
        match self.values.get(name) {
            Some(value) => value.parse().map_err(|_| format!("--{name} {value}: not understood").into()),
            None => Ok(default),
        }
    }

    fn dir(&self) -> Result<PathBuf, Failure> {
        Ok(self.values.get("dir").ok_or("--dir is needed")?.into())
    }

    fn bytes(&self) -> Result<u64, Failure> {
        Ok((self.get("gib", 1.0)? * 1024.0 * MIB) as u64)
    }

    fn config(&self) -> Result<QuicConfig, Failure> {
        let default = QuicConfig::default();
        Ok(QuicConfig {
            mtu_max: self.get("mtu", default.mtu_max)?,
            join_batches: self.get("join", default.join_batches)?,
            own_thread: self.get("thread", default.own_thread)?,
            ..default
        })
    }

    fn run(&self, end: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
        let mut builder = match self.get("workers", WORKERS)? {
            0 => tokio::runtime::Builder::new_current_thread(),
            workers => {
                let mut builder = tokio::runtime::Builder::new_multi_thread();
                builder.worker_threads(workers);
                builder
            }
        };
        builder.enable_all().build()?.block_on(end)
    }

    fn bind(&self, addr: SocketAddr, node: &str) -> Result<QuicTransport, Failure> {
        let file = |name: String| self.dir().map(|dir| dir.join(name));
        let own = Credentials::from_files(&CredentialFiles {
            roots: file("ca.pem".to_owned())?,
            chain: file(format!("{node}.pem"))?,
            key: file(format!("{node}.key"))?,
        })?;
        Ok(QuicTransport::bind(addr, &self.config()?, &own, Arc::new(SystemClock))?)
    }
}

#[derive(Debug)]
struct SystemClock;

impl WallClock for SystemClock {
    fn unix_ms(&self) -> u64 {
        UNIX_EPOCH.elapsed().map_or(0, |now| now.as_millis() as u64)
    }
}

/// Makes a CA and the certificates of both ends.
fn certificates(dir: &Path) -> Result<(), Failure> {
    let now = SystemClock.unix_ms();
    let ca = CertificateAuthority::init(&ClusterName::new("ceiling.internal")?, 1, now)?;
    fs::write(dir.join("ca.pem"), ca.certificate_pem())?;
    for node in [RECV, SEND] {
        let certificate = ca.issue(&NodeId::new(node)?, 1, now)?;
        fs::write(dir.join(format!("{node}.pem")), certificate.chain_pem)?;
        fs::write(dir.join(format!("{node}.key")), certificate.key_pem.expose())?;
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what an example says")]
fn say(line: &str) {
    println!("{line}");
}

async fn recv(options: &Options) -> Result<(), Failure> {
    certificates(&options.dir()?)?;
    let transport = options.bind(options.get("listen", ([127, 0, 0, 1], 0).into())?, RECV)?;
    say(&format!("listening {}", transport.local_addr()));
    let connection = transport.accept().await.ok_or("closed")?;
    let mut stream = connection.accept_uni().await?;
    let start = Instant::now();
    let received = tokio::spawn(async move {
        let mut received = 0;
        while let Some(bytes) = stream.read(READ).await? {
            received += bytes.len() as u64;
        }
        Ok::<_, Failure>(received)
    });
    let received = received.await??;
    let took = start.elapsed();
    transport.close().await;
    report(RECV, received, took)
}

async fn send(options: &Options) -> Result<(), Failure> {
    let transport = options.bind(([127, 0, 0, 1], 0).into(), SEND)?;
    let to = options.values.get("to").ok_or("--to is needed")?.parse()?;
    let connection =
        transport.connect(&Target { addr: to, node: Some(NodeId::new(RECV)?) }, Lane::Bulk).await?;
    let mut stream = connection.open_uni().await?;
    let (start, bytes) = (Instant::now(), options.bytes()?);
    let sent = tokio::spawn(async move {
        let chunk = Bytes::from(vec![0x5a; WRITE]);
        let mut left = bytes;
        while left > 0 {
            let len = left.min(WRITE as u64);
            stream.write_all(chunk.slice(..len as usize)).await?;
            left -= len;
        }
        stream.finish()?;
        stream.stopped().await?;
        Ok::<_, Failure>(())
    });
    sent.await??;
    let took = start.elapsed();
    let _ = connection.closed().await;
    transport.close().await;
    report(SEND, bytes, took)
}

/// User and system time of this process so far.
fn cpu_seconds() -> Result<f64, Failure> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The name of the process may hold spaces; the fields after it do not.
    let (_, fields) = stat.rsplit_once(')').ok_or("/proc/self/stat has another form")?;
    let ticks = |n: usize| fields.split_whitespace().nth(n).and_then(|field| field.parse::<f64>().ok());
    Ok((ticks(11).ok_or("no utime")? + ticks(12).ok_or("no stime")?) / TICKS)
}

fn report(end: &str, bytes: u64, took: Duration) -> Result<(), Failure> {
    let (mib, cpu) = (bytes as f64 / MIB, cpu_seconds()?);
    let (rate, per_gib) = (mib / took.as_secs_f64(), cpu * 1024.0 / mib);
    say(&format!("{end} {rate:.0} MiB/s {per_gib:.2} CPU-s/GiB"));
    Ok(())
}

/// A child with the options of this process and its own.
fn child(command: &str, options: &Options, own: &[(&str, &str)]) -> Result<Child, Failure> {
    let mut child = Command::new(std::env::current_exe()?);
    child.arg(command).stdout(Stdio::piped());
    for (name, value) in &options.values {
        child.arg(format!("--{name}")).arg(value);
    }
    for (name, value) in own {
        child.arg(format!("--{name}")).arg(value);
    }
    Ok(child.spawn()?)
}

/// The next line of a child: its words.
fn words(lines: &mut BufReader<ChildStdout>) -> Result<Vec<String>, Failure> {
    let mut line = String::new();
    lines.read_line(&mut line)?;
    Ok(line.split_whitespace().map(str::to_owned).collect())
}

/// MiB/s and CPU-s/GiB of a child's report.
fn figures(lines: &mut BufReader<ChildStdout>) -> Result<(f64, f64), Failure> {
    let words = words(lines)?;
    let [_, rate, _, cpu, _] = words.as_slice() else { return Err("a child failed".into()) };
    Ok((rate.parse()?, cpu.parse()?))
}

fn both(options: &Options) -> Result<(), Failure> {
    for _ in 0..options.get("rounds", 1)? {
        let dir = tempfile::tempdir()?;
        let dir = dir.path().to_str().ok_or("the temporary directory has an odd name")?;
        let mut recv = child(RECV, options, &[("dir", dir)])?;
        let mut recv_lines = BufReader::new(recv.stdout.take().ok_or("no output")?);
        let to = words(&mut recv_lines)?.pop().ok_or("the receiver failed")?;
        let mut send = child(SEND, options, &[("dir", dir), ("to", &to)])?;
        let mut send_lines = BufReader::new(send.stdout.take().ok_or("no output")?);
        let ((rate, rx), (_, tx)) = (figures(&mut recv_lines)?, figures(&mut send_lines)?);
        recv.wait()?;
        send.wait()?;
        say(&format!("{rate:.0} MiB/s {:.2} CPU-s/GiB (tx {tx:.2} + rx {rx:.2})", tx + rx));
    }
    Ok(())
}
