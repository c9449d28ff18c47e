//! What the program refuses before it runs anything, and what it writes.
#![cfg(feature = "cli")]
#![expect(clippy::unwrap_used, reason = "all of this file is test code")]

use std::path::PathBuf;
use std::process::{Command, Output};

fn sim(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_peerstream-sim")).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Refused with these words, and not run.
fn refuses(args: &[&str], words: &str) {
    let ran = sim(args);
    let (out, err) = (text(&ran.stdout), text(&ran.stderr));
    assert!(!ran.status.success(), "{args:?}: {out}");
    assert!(out.is_empty(), "{args:?} was run: {out}");
    assert!(err.contains(words) && !err.contains("panicked"), "{args:?}: {err}");
}

/// A file of this test.
fn file(name: &str, content: &str) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("sim program");
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join(format!("{}-{name}", std::process::id()));
    std::fs::write(&path, content).unwrap();
    path
}

#[test]
fn what_cannot_be_run_is_refused_first() {
    refuses(&["donor-dies", "--nodes", "0"], "at least one donor and one replica");
    refuses(&["donor-dies", "--nodes", "4000000000"], "at most 20000 nodes");
    refuses(&["slow-source", "--nodes", "5", "--without", "999"], "no fault 999");
    refuses(&["donor-dies", "--trace", "/nonexistent/x"], "/nonexistent/x");
    refuses(&["donor-dies", "--report", "/nonexistent/y"], "/nonexistent/y");
    refuses(&["donor-dies", "--seeds", "5..5"], "seeds are written like");
    let empty = file("empty.toml", "");
    refuses(&[empty.to_str().unwrap()], "empty.toml: the scenario is empty");
    refuses(&["no-such-thing"], "no-such-thing is neither a file nor one of");
}

#[test]
fn the_last_seed_is_run() {
    let ran = sim(&["donor-dies", "--seed", "18446744073709551615"]);
    assert!(text(&ran.stdout).contains("seed 18446744073709551615: 1 shards published"), "{ran:?}");
}

/// What the page of a failed run shows: why, figures, who fed whom and when, bytes, faults, and which of them it
/// does without.
const FAILED_PAGE: [&str; 10] = [
    "<h2>It failed</h2><pre>it took",
    "time until it failed",
    "<th>faults that came until then<td class=n>1",
    "<th>bytes sent until then<td class=n>4",
    "<h2>Who fed whom</h2><svg",
    "<title>donor-1: ",
    "<tr><td>donor-1<td>replica-1<td class=n>4",
    "<td class=n>1 ms<td>slow<td>",
    "All above is of the run itself",
    "Without the faults 0 it fails, too",
];

/// A run that fails is written, too; and the command to repeat it is one that a shell takes.
#[test]
fn a_failed_run_is_written() {
    let doomed = "
        [fleet]
        donors = 1
        up_kib = 1024
        [expect]
        percent_of_bound = 1
        [[fault]]
        at_ms = 1
        slow = { a = 'donor-1', b = 'replica-1', rate_kib = 64 }
    ";
    let scenario = file("doomed.toml", doomed);
    let (trace, report) = (file("trace", ""), file("report.html", ""));
    let args = |more: &'static [&'static str]| {
        let paths = [&scenario, &trace, &report].map(|path| path.to_str().unwrap());
        let mut args = vec![paths[0], "--trace", paths[1], "--report", paths[2]];
        args.extend(more);
        sim(&args)
    };
    for more in [&[][..], &["--seeds", "3..5"]] {
        let ran = args(more);
        let out = text(&ran.stdout);
        assert!(!ran.status.success() && out.contains("it took"), "{ran:?}");
        assert!(out.contains("sim '/") && out.contains("doomed.toml' --seed"), "{out}");
        assert!(std::fs::read_to_string(&trace).unwrap().contains("donor-1: boot 1"));
        let page = std::fs::read_to_string(&report).unwrap();
        for part in FAILED_PAGE {
            assert!(page.contains(part), "{part} is missing in {page}");
        }
        // Faults are left out of the narrowed run only.
        assert!(!page.contains("(left out)"), "{page}");
        [&trace, &report].into_iter().for_each(|path| std::fs::write(path, "").unwrap());
    }
}
