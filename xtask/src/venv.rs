//! A Python with a real RocksDB (`rocksdict`) for the live test, without compiling one.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

const ROCKSDICT: &str = "rocksdict==0.3.29";

/// Makes `target/venv` unless it is there, or `PEERSTREAM_PYTHON` names another interpreter.
pub(crate) fn prepare(root: &Path) -> anyhow::Result<()> {
    if std::env::var_os("PEERSTREAM_PYTHON").is_some() {
        return Ok(());
    }
    let venv = root.join("target/venv");
    let python = venv.join("bin/python");
    if has_rocksdict(&python) {
        return Ok(());
    }
    let made = Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv).status();
    let hint = "the live RocksDB test needs python3 with its venv module (Debian: python3-venv)";
    ensure!(made.context(hint)?.success(), hint);
    let pip = Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", ROCKSDICT])
        .status()?;
    ensure!(pip.success() && has_rocksdict(&python), "could not install {ROCKSDICT} from PyPI");
    Ok(())
}

fn has_rocksdict(python: &Path) -> bool {
    let check = Command::new(python).args(["-c", "import rocksdict"]).stderr(Stdio::null()).status();
    check.is_ok_and(|status| status.success())
}
