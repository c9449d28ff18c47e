//! `peerstream ca`: certificates for a development cluster.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use peerstream_quic::CertificateAuthority;
use peerstream_types::WallClock;
use serde::Serialize;

use super::Ended;
use super::args::{CaInitArgs, CaIssueArgs, Format};
use super::output::{say, say_json};
use crate::clock::SystemClock;
use crate::failure::{Failure, Result};

/// Who may read a private key: its owner.
const KEY_MODE: u32 = 0o600;
const CERTIFICATE_MODE: u32 = 0o644;

/// What was written.
#[derive(Debug, Serialize)]
struct Written {
    certificate: PathBuf,
    key: PathBuf,
    ca: PathBuf,
}

pub(super) fn init(args: &CaInitArgs) -> Result<Ended> {
    let ca =
        CertificateAuthority::init(&args.cluster, args.days, SystemClock.unix_ms()).map_err(Failure::new)?;
    make_dir(&args.dir)?;
    let (certificate, key) = (args.dir.join("ca.crt"), args.dir.join("ca.key"));
    refuse_existing(&[&certificate, &key], args.force)?;
    write(&key, ca.key_pem().expose(), KEY_MODE)?;
    write(&certificate, ca.certificate_pem(), CERTIFICATE_MODE)?;
    let written = Written { ca: certificate.clone(), certificate, key };
    tell(&format!("CA of cluster {}", args.cluster), &written, args.output.output)
}

pub(super) fn issue(args: &CaIssueArgs) -> Result<Ended> {
    let ca = load(&args.dir)?;
    let node = ca.issue(&args.node, args.days, SystemClock.unix_ms()).map_err(Failure::new)?;
    let out = args.out.as_ref().unwrap_or(&args.dir);
    make_dir(out)?;
    let (certificate, key) = (out.join(format!("{}.crt", args.node)), out.join(format!("{}.key", args.node)));
    refuse_existing(&[&certificate, &key], args.force)?;
    write(&key, node.key_pem.expose(), KEY_MODE)?;
    write(&certificate, &node.chain_pem, CERTIFICATE_MODE)?;
    let root = out.join("ca.crt");
    // The same certificate is written again; another one would part the node from its cluster.
    if fs::read_to_string(&root).ok().as_deref() != Some(ca.certificate_pem()) {
        refuse_existing(&[&root], args.force)?;
        write(&root, ca.certificate_pem(), CERTIFICATE_MODE)?;
    }
    let written = Written { certificate, key, ca: root };
    tell(&format!("certificate of {}.{}", args.node, ca.cluster()), &written, args.output.output)
}

fn load(dir: &Path) -> Result<CertificateAuthority> {
    let read = |name: &str| {
        let path = dir.join(name);
        fs::read_to_string(&path).map_err(|error| {
            Failure::new(format!("{}: {error}", path.display()))
                .hint("`peerstream ca init --dir DIR --cluster NAME` makes a CA")
        })
    };
    CertificateAuthority::load(&read("ca.crt")?, &read("ca.key")?)
        .map_err(|error| Failure::new(format!("{}: {error}", dir.display())))
}

fn tell(what: &str, written: &Written, format: Format) -> Result<Ended> {
    match format {
        Format::Json => say_json(written)?,
        Format::Table => {
            let Written { certificate, key, ca } = written;
            let (certificate, key, ca) = (certificate.display(), key.display(), ca.display());
            say(&format!("{what}\n  certificate  {certificate}\n  key          {key}\n  ca           {ca}"));
        }
    }
    Ok(Ended::Done)
}

fn make_dir(dir: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|error| Failure::new(format!("{}: {error}", dir.display())))
}

fn refuse_existing(paths: &[&Path], force: bool) -> Result<()> {
    match paths.iter().find(|path| !force && path.symlink_metadata().is_ok()) {
        Some(path) => {
            Err(Failure::new(format!("{} is already there", path.display())).hint("--force replaces it"))
        }
        None => Ok(()),
    }
}

/// Replaces a file in one step. It has its mode from its first byte on.
fn write(path: &Path, content: &str, mode: u32) -> Result<()> {
    let beside = path.with_extension("new");
    let written = || -> io::Result<()> {
        // Left by a run that was interrupted; opened with another mode, maybe.
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
        file.write_all(content.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    written().map_err(|error| Failure::new(format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::cli::args::OutputArgs;

    fn init_in(dir: &Path, force: bool) -> Result<Ended> {
        let (cluster, output) = ("demo".parse().unwrap(), OutputArgs { output: Format::Json });
        init(&CaInitArgs { dir: dir.to_owned(), cluster, days: 30, force, output })
    }

    fn issue_in(dir: &Path, out: &Path, force: bool) -> Result<Ended> {
        let (node, output) = ("a".parse().unwrap(), OutputArgs { output: Format::Json });
        issue(&CaIssueArgs { dir: dir.to_owned(), node, out: Some(out.to_owned()), days: 30, force, output })
    }

    #[test]
    fn only_the_owner_may_read_keys() {
        let dir = tempfile::tempdir().unwrap();
        let (ca, out) = (dir.path().join("ca"), dir.path().join("a"));
        init_in(&ca, false).unwrap();
        issue_in(&ca, &out, false).unwrap();
        for key in [ca.join("ca.key"), out.join("a.key")] {
            assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600, "{key:?}");
        }
        assert_eq!(fs::metadata(&ca).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read(ca.join("ca.crt")).unwrap(), fs::read(out.join("ca.crt")).unwrap());
    }

    #[test]
    fn nothing_is_overwritten_unless_forced() {
        let dir = tempfile::tempdir().unwrap();
        init_in(dir.path(), false).unwrap();
        let first = fs::read(dir.path().join("ca.key")).unwrap();
        let refused = init_in(dir.path(), false).unwrap_err();
        assert!(refused.what().ends_with("is already there"), "{refused}");
        assert_eq!(fs::read(dir.path().join("ca.key")).unwrap(), first);
        init_in(dir.path(), true).unwrap();
        assert_ne!(fs::read(dir.path().join("ca.key")).unwrap(), first);
        issue_in(dir.path(), dir.path(), false).unwrap();
        assert!(issue_in(dir.path(), dir.path(), false).is_err());
        issue_in(dir.path(), dir.path(), true).unwrap();
    }
}
