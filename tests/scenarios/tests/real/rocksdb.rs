//! A live RocksDB is moved while it is written to: its checkpoint arrives, key for key.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{Scenario, assert_published, bring_up, say};

/// Keys in the checkpoint.
const KEYS: &str = "60000";

/// The Python that has rocksdict.
fn python() -> PathBuf {
    let named = std::env::var_os("PEERSTREAM_PYTHON").map(PathBuf::from);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let python = named.unwrap_or_else(|| root.join("target/venv/bin/python"));
    let has_rocksdict = Command::new(&python).args(["-c", "import rocksdict"]).output();
    assert!(
        has_rocksdict.is_ok_and(|output| output.status.success()),
        "{} cannot import rocksdict. Run `python3 -m venv target/venv && target/venv/bin/pip install \
         rocksdict==0.3.29`, or name a Python that has it in PEERSTREAM_PYTHON",
        python.display()
    );
    python
}

fn script(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("rocksdb.py"));
    command
}

#[test]
fn the_checkpoint_of_a_live_rocksdb_arrives_key_for_key() {
    let python = python();
    let scenario = Scenario::new();
    let (database, checkpoint) = (scenario.path("db"), scenario.path("checkpoint"));
    let mut command = script(&python);
    command.arg("write").args([&database, &checkpoint]).arg(KEYS);
    let mut writer = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut says = BufReader::new(writer.stdout.take().unwrap()).lines();
    assert_eq!(says.next().unwrap().unwrap(), "checkpoint");

    let donor = scenario.donor("donor", &checkpoint, "");
    let replica = scenario.replica("replica", &[&donor], "");
    bring_up(&replica);
    assert_published(&replica, 1, &checkpoint);
    writeln!(writer.stdin.take().unwrap(), "stop").unwrap();
    let later: u64 = says.next().unwrap().unwrap().parse().unwrap();
    assert!(later > 0, "the database was written to meanwhile");
    assert!(writer.wait().unwrap().success());

    let copy = replica.dir().published("files@1/0", 1);
    drop((donor, replica));
    let said = say(script(&python).arg("check").arg(copy).arg(KEYS));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(said.out.trim(), format!("{KEYS} keys as they were written"));
}
