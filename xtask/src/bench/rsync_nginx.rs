//! The rivals: rsync's daemon, and nginx with curl over TLS 1.3. They are used where they are
//! installed, each with a configuration made for the run.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};

use super::contestant::{Ready, Server};
use super::measured::Measured;
use super::site::Site;
use super::workload::Made;

/// How long a daemon may take until it listens.
const START_LIMIT: Duration = Duration::from_secs(10);
/// Transfers that curl has under way: as many as our receiver has for small files.
const CURL_PARALLEL: u32 = 4;

/// Whether a program is where programs are.
pub(super) fn is_installed(program: &str) -> bool {
    let dirs = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    dirs.iter().any(|dir| Path::new(dir).join(program).is_file())
}

/// `rsync --daemon`, and a client that copies whole files.
pub(super) fn rsync(site: &Site, made: &Made, out: &Path) -> anyhow::Result<(Server, Command)> {
    let (config, port) = (site.path("rsyncd.conf"), free_port()?);
    // A daemon of root's gives up its rights, and with them the workload.
    let user = if rustix::process::geteuid().is_root() { "uid = 0\ngid = 0\n" } else { "" };
    let module = format!("[bench]\npath = {}\nread only = yes\n", made.dir.display());
    fs::write(&config, format!("use chroot = no\nreverse lookup = no\n{user}{module}"))?;
    let mut daemon = Command::new("rsync");
    daemon.args(["--daemon", "--no-detach", "--address=127.0.0.1", &format!("--port={port}"), "--config"]);
    let server = start(site, daemon.arg(config), port, made)?;
    let mut client = Command::new("rsync");
    client.args(["-a", "-W", &format!("rsync://127.0.0.1:{port}/bench/")]).arg(out.join(""));
    Ok((server, client))
}

/// nginx, and curl with a few transfers at a time.
pub(super) fn nginx(site: &Site, made: &Made, out: &Path) -> anyhow::Result<(Server, Command)> {
    let (config, port) = (site.path("nginx.conf"), free_port()?);
    make_certificate(site)?;
    fs::write(&config, nginx_config(site, made, port))?;
    let mut daemon = Command::new("nginx");
    let server = start(site, daemon.args(["-e", "stderr", "-c"]).arg(config), port, made)?;
    let list = site.path("curl.conf");
    curl_config(&list, made, port, out)?;
    let mut client = Command::new("curl");
    client.args(["--silent", "--show-error", "--fail", "--insecure", "--http1.1", "--create-dirs"]);
    client.args(["--tls13-ciphers", "TLS_AES_128_GCM_SHA256", "--parallel", "--parallel-max"]);
    client.arg(CURL_PARALLEL.to_string()).arg("--config").arg(list);
    Ok((server, client))
}

fn start(site: &Site, command: &mut Command, port: u16, made: &Made) -> anyhow::Result<Server> {
    let mut process = Measured::start(command, &site.path("sender.log"), 2 * made.size.limit())?;
    process.wait_for_port(port, START_LIMIT)?;
    Ok(Server { process, ready: Ready::default() })
}

/// A certificate of its own: OpenSSL does not read the form of our keys.
fn make_certificate(site: &Site) -> anyhow::Result<()> {
    let (certificate, key) = (site.path("nginx.pem"), site.path("nginx.key"));
    if certificate.exists() {
        return Ok(());
    }
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-nodes", "-subj", "/CN=localhost", "-days", "30"]);
    openssl.args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-keyout"]).arg(key);
    let made = openssl.arg("-out").arg(certificate).output().context("openssl")?;
    ensure!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
    Ok(())
}

fn nginx_config(site: &Site, made: &Made, port: u16) -> String {
    let (here, root) = (site.path("nginx"), made.dir.display());
    let here = here.display();
    let temp: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|what| format!("{what}_temp_path {here}-{what}; "))
        .concat();
    // Only root may name a user, and anybody else is told so and served all the same.
    format!(
        "user root; worker_processes 2; pid {here}.pid; error_log stderr; daemon off;
         events {{ worker_connections 1024; }}
         http {{
           access_log off; sendfile on; sendfile_max_chunk 2m; tcp_nopush on; keepalive_requests 1000000;
           {temp}
           server {{
             listen 127.0.0.1:{port} ssl; root {root};
             ssl_certificate {here}.pem; ssl_certificate_key {here}.key;
             ssl_protocols TLSv1.3; ssl_buffer_size 16k;
           }}
         }}\n"
    )
}

/// One pair of lines per file, written as the tree is walked.
fn curl_config(list: &Path, made: &Made, port: u16, out: &Path) -> anyhow::Result<()> {
    let mut list = BufWriter::new(File::create(list)?);
    let mut dirs = vec![made.dir.clone()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir)? {
            let path = entry?.path();
            if path.is_dir() {
                dirs.push(path);
                continue;
            }
            let name = path.strip_prefix(&made.dir)?.display();
            writeln!(list, "url = \"https://127.0.0.1:{port}/{name}\"")?;
            writeln!(list, "output = \"{}/{name}\"", out.display())?;
        }
    }
    list.flush().context("cannot write curl's list")
}

/// A TCP port that was free a moment ago.
fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
