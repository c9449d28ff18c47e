//! `cargo xtask instructions`: how many instructions the pure hot loops take, against the counts that
//! were checked in.
//!
//! Counting runs under valgrind, by the library gungraun, in a workspace of its own
//! (`tests/instructions`): nobody who builds peerstream should have to build its runner.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

/// Where the benchmarks are.
const DIR: &str = "tests/instructions";
/// What they took last.
const COUNTS: &str = "tests/instructions/counts.json";
/// Most that a count may change, in percent. Counts repeat to a few instructions on one machine; other
/// machines have other functions for copying and hashing.
const TOLERANCE: f64 = 5.0;

type Counts = BTreeMap<String, u64>;

/// Options: `--bless` writes the counts of this run.
pub(crate) fn run(root: &Path, options: &[String]) -> anyhow::Result<()> {
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let bless = match options.as_slice() {
        [] => false,
        ["--bless"] => true,
        _ => bail!("instructions takes --bless and nothing else"),
    };
    let valgrind = Command::new("valgrind").arg("--version").output();
    valgrind.context("valgrind is not installed; it counts the instructions")?;
    let counted = count(root)?;
    ensure!(!counted.is_empty(), "nothing was counted");
    let path = root.join(COUNTS);
    if bless {
        std::fs::write(&path, format!("{}\n", serde_json::to_string_pretty(&counted)?))?;
        println!("{} counts written to {COUNTS}", counted.len());
        return Ok(());
    }
    let text = std::fs::read_to_string(&path).with_context(|| COUNTS.to_owned())?;
    let expected: Counts = serde_json::from_str(&text).with_context(|| COUNTS.to_owned())?;
    let findings = compare(&expected, &counted);
    for (name, count) in &counted {
        let was = expected.get(name).copied().unwrap_or_default();
        println!("  {name:<40} {count:>12} was {was:>12} {:>+7.2} %", percent(was, *count));
    }
    findings.iter().for_each(|finding| println!("{finding}"));
    ensure!(findings.is_empty(), "counts differ; `cargo xtask instructions --bless` takes the new ones");
    Ok(())
}

/// Runs the benchmarks with the versions of our own lock file.
fn count(root: &Path) -> anyhow::Result<Counts> {
    let (dir, target) = (root.join(DIR), root.join("target/instructions"));
    std::fs::copy(root.join("Cargo.lock"), dir.join("Cargo.lock")).context("copying the lock file")?;
    // What an earlier run left would only be compared with, and the comparison is ours.
    std::fs::remove_dir_all(target.join("gungraun")).ok();
    let mut cargo = Command::new("cargo");
    cargo.args(["bench", "--quiet", "--bench", "hot_loops", "--", "--output-format=json"]);
    cargo.current_dir(&dir).env("CARGO_TARGET_DIR", &target).stderr(Stdio::inherit());
    let output = cargo.output().context("cargo bench")?;
    ensure!(output.status.success(), "`cargo bench` in {DIR} failed: {}", output.status);
    let text = String::from_utf8(output.stdout)?;
    serde_json::Deserializer::from_str(&text).into_iter::<Value>().map(|one| counted(&one?)).collect()
}

/// The name of a benchmark and its instructions, from the summary that the library prints.
fn counted(summary: &Value) -> anyhow::Result<(String, u64)> {
    let text = |key| summary.get(key).and_then(Value::as_str);
    let function = text("function_name").context("a summary without the name of its function")?;
    let name = text("id").map_or_else(|| function.to_owned(), |id| format!("{function}::{id}"));
    let total = &summary["profiles"][0]["data"]["total"]["metrics"];
    let count = total["Ir"]["values"]["new"].as_u64();
    Ok((name.clone(), count.with_context(|| format!("{name}: no instructions in {total}"))?))
}

/// What does not fit: slower, faster, new, gone.
fn compare(expected: &Counts, counted: &Counts) -> Vec<String> {
    let mut findings = Vec::new();
    for (name, count) in counted {
        let Some(was) = expected.get(name) else {
            findings.push(format!("{name}: has no count yet"));
            continue;
        };
        let change = percent(*was, *count);
        if change > TOLERANCE {
            findings.push(format!("{name}: {change:.1} % more instructions: is it worth it?"));
        } else if change < -TOLERANCE {
            findings.push(format!("{name}: {:.1} % fewer instructions: keep that with --bless", -change));
        }
    }
    let gone = expected.keys().filter(|name| !counted.contains_key(*name));
    findings.extend(gone.map(|name| format!("{name}: is not counted any longer")));
    findings
}

fn percent(was: u64, is: u64) -> f64 {
    if was == 0 { 0.0 } else { (is as f64 / was as f64 - 1.0) * 100.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(of: &[(&str, u64)]) -> Counts {
        of.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    #[test]
    fn a_count_is_found_in_what_the_library_prints() {
        let total = serde_json::json!({ "metrics": { "Ir": { "values": { "new": 61_024 } } } });
        let summary = serde_json::json!({
            "function_name": "f", "id": "g", "profiles": [{ "data": { "total": total } }]
        });
        assert_eq!(counted(&summary).unwrap(), ("f::g".to_owned(), 61_024));
        assert!(counted(&serde_json::json!({ "function_name": "f" })).is_err());
    }

    #[test]
    fn counts_within_the_tolerance_pass() {
        let expected = counts(&[("a", 1_000), ("b", 1_000)]);
        assert!(compare(&expected, &counts(&[("a", 1_049), ("b", 951)])).is_empty());
    }

    #[test]
    fn slower_faster_new_and_gone_are_findings() {
        let expected = counts(&[("fast", 1_000), ("gone", 1), ("slow", 1_000)]);
        let findings = compare(&expected, &counts(&[("fast", 900), ("new", 1), ("slow", 1_060)]));
        let said = ["10.0 % fewer", "has no count", "6.0 % more", "not counted"];
        assert_eq!(findings.len(), said.len());
        for (finding, said) in findings.iter().zip(said) {
            assert!(finding.contains(said), "{finding}");
        }
    }
}
