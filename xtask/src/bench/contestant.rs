//! Who transfers, and how it is started.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::measured::Measured;
use super::options::Options;
use super::rsync_nginx;
use super::site::Site;
use super::workload::{Made, Workload};

/// A way to transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Tool {
    /// The product.
    Ours,
    /// Our transport from memory to memory: the ceiling.
    Raw,
    /// The same with plain writes to one file.
    RawFiles,
    /// rsync's daemon, over TCP without encryption.
    Rsync,
    /// nginx and curl over TLS 1.3.
    Nginx,
    /// A local copy: the yardstick for the part that is files.
    Cp,
}

impl Tool {
    pub(super) const ALL: [Self; 6] =
        [Self::Ours, Self::Raw, Self::RawFiles, Self::Rsync, Self::Nginx, Self::Cp];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Raw => "raw",
            Self::RawFiles => "raw-files",
            Self::Rsync => "rsync",
            Self::Nginx => "nginx",
            Self::Cp => "cp",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.name() == name)
    }

    /// Whether it uses our transport, so that our MTU means something to it.
    fn has_mtu(self) -> bool {
        matches!(self, Self::Ours | Self::Raw | Self::RawFiles)
    }

    /// Why it cannot run here.
    fn absence(self, workload: Workload) -> Option<String> {
        let programs: &[&str] = match self {
            Self::Ours | Self::Raw | Self::RawFiles | Self::Cp => &[],
            Self::Rsync => &["rsync"],
            Self::Nginx if workload == Workload::D => {
                return Some("not run for D: a request per record is not what it is for".into());
            }
            Self::Nginx => &["nginx", "curl", "openssl"],
        };
        let missing = programs.iter().find(|program| !rsync_nginx::is_installed(program))?;
        Some(format!("{missing} is not installed"))
    }
}

/// A tool with its MTU, where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Contestant {
    pub(super) tool: Tool,
    pub(super) mtu: Option<u16>,
}

impl Contestant {
    /// Those who run, in the order of the options, and who is absent and why.
    pub(super) fn field(options: &Options, workload: Workload) -> (Vec<Self>, Vec<String>) {
        let (mut field, mut absent) = (Vec::new(), Vec::new());
        for tool in &options.tools {
            if let Some(why) = tool.absence(workload) {
                absent.push(format!("{}: {why}", tool.name()));
            } else if tool.has_mtu() {
                field.extend(options.mtus.iter().map(|mtu| Self { tool: *tool, mtu: Some(*mtu) }));
            } else {
                field.push(Self { tool: *tool, mtu: None });
            }
        }
        (field, absent)
    }
}

impl fmt::Display for Contestant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tool.name())?;
        self.mtu.map_or(Ok(()), |mtu| write!(f, " {mtu}"))
    }
}

/// A sender that is ready. What its preparation cost is not part of the transfer.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) process: Measured,
    pub(super) ready: Ready,
}

/// What our sender says when it is ready.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Ready {
    #[serde(rename = "ready")]
    pub(super) addr: String,
    pub(super) prepare_seconds: f64,
    pub(super) prepare_cpu_seconds: f64,
}

/// One transfer, ready to go.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) server: Option<Server>,
    pub(super) client: Command,
    /// Where the copy will be, unless the receiver says another place; `None` where there is none.
    pub(super) output: Option<PathBuf>,
}

/// Starts the sender and prepares the receiver's command; `out` is an empty directory.
pub(super) fn stage(
    site: &Site,
    made: &Made,
    contestant: Contestant,
    sync: bool,
    out: &Path,
) -> anyhow::Result<Staged> {
    let limit = made.size.limit();
    match contestant.tool {
        Tool::Ours => {
            let mut serve = site.peer("serve");
            serve.arg("--dir").arg(&made.dir);
            let server = start_peer(site, serve, contestant.mtu, limit)?;
            let mut client = receiver(site, "fetch", &server, contestant.mtu);
            client.arg("--to").arg(out).args(sync.then_some("--sync"));
            Ok(Staged { server: Some(server), client, output: Some(out.to_owned()) })
        }
        Tool::Raw | Tool::RawFiles => {
            let mut send = site.peer("raw-send");
            send.args(["--bytes", &made.size.bytes.to_string()]);
            let server = start_peer(site, send, contestant.mtu, limit)?;
            let mut client = receiver(site, "raw-recv", &server, contestant.mtu);
            if contestant.tool == Tool::RawFiles {
                client.arg("--to").arg(out.join("raw"));
                client = synced(client, sync, out);
            }
            Ok(Staged { server: Some(server), client, output: None })
        }
        Tool::Rsync => {
            let (server, client) = rsync_nginx::rsync(site, made, out)?;
            Ok(Staged {
                server: Some(server),
                client: synced(client, sync, out),
                output: Some(out.to_owned()),
            })
        }
        Tool::Nginx => {
            let (server, client) = rsync_nginx::nginx(site, made, out)?;
            Ok(Staged {
                server: Some(server),
                client: synced(client, sync, out),
                output: Some(out.to_owned()),
            })
        }
        Tool::Cp => {
            let mut cp = Command::new("cp");
            cp.args(["-r", "--reflink=never"]).arg(made.dir.join(".")).arg(out);
            Ok(Staged { server: None, client: synced(cp, sync, out), output: Some(out.to_owned()) })
        }
    }
}

/// Starts one of our senders and waits until it is ready.
pub(super) fn start_peer(
    site: &Site,
    mut command: Command,
    mtu: Option<u16>,
    limit: Duration,
) -> anyhow::Result<Server> {
    command.args(["--listen", "127.0.0.1:0", "--cert-dir"]).arg(site.certs());
    if let Some(mtu) = mtu {
        command.args(["--mtu", &mtu.to_string()]);
    }
    // The receiver has the same limit once the sender is ready.
    let mut process = Measured::start(&mut command, &site.path("sender.log"), 2 * limit)?;
    let ready = serde_json::from_str(&process.line()?)?;
    Ok(Server { process, ready })
}

/// The command of one of our receivers, aimed at a sender.
pub(super) fn receiver(site: &Site, what: &str, server: &Server, mtu: Option<u16>) -> Command {
    let mut command = site.peer(what);
    command.args(["--from", &server.ready.addr, "--cert-dir"]).arg(site.certs());
    if let Some(mtu) = mtu {
        command.args(["--mtu", &mtu.to_string()]);
    }
    command
}

/// The same command; where everybody syncs, it is followed by a sync of the file system.
fn synced(command: Command, sync: bool, out: &Path) -> Command {
    if !sync {
        return command;
    }
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "\"$@\" && sync -f \"$0\""])
        .arg(out)
        .arg(command.get_program())
        .args(command.get_args());
    shell
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_transport_runs_once_per_mtu() {
        let words = ["--tools", "ours,cp", "--mtu", "1452,8972"].map(str::to_owned);
        let (field, absent) = Contestant::field(&Options::parse(&words).unwrap(), Workload::A);
        let names: Vec<String> = field.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["ours 1452", "ours 8972", "cp"]);
        assert!(absent.is_empty());
    }

    #[test]
    fn a_sync_follows_the_command_in_one_process_group() {
        let mut cp = Command::new("cp");
        cp.args(["a", "b"]);
        let shell = synced(cp, true, Path::new("/out"));
        let args: Vec<_> = shell.get_args().filter_map(|arg| arg.to_str()).collect();
        assert_eq!(args, ["-c", "\"$@\" && sync -f \"$0\"", "/out", "cp", "a", "b"]);
    }
}
