//! `cargo xtask ci`: every check of a change, in order; the first failure ends it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context;

use crate::{sim, tidy, venv};

/// One step of the table.
struct Step {
    name: &'static str,
    /// What a failure of the step means.
    proves: &'static str,
    /// Runs with `--full` only.
    full: bool,
    work: Work,
}

/// What a step does.
enum Work {
    /// One command in the root of the workspace.
    Command(Invocation),
    /// One command if a tool is there. The probe decides; without it the step is skipped and says so.
    IfAvailable { probe: &'static [&'static str], file: Option<&'static str>, run: Invocation },
    /// Work of our own.
    Task(fn(&Path) -> anyhow::Result<()>),
}

/// A command line with extra environment.
struct Invocation {
    env: &'static [(&'static str, &'static str)],
    line: &'static [&'static str],
}

const fn command(line: &'static [&'static str]) -> Work {
    Work::Command(Invocation { env: &[], line })
}

const STEPS: &[Step] = &[
    Step {
        name: "format",
        proves: "the code is formatted",
        full: false,
        work: command(&["cargo", "fmt", "--all", "--check"]),
    },
    Step { name: "tidy", proves: "the rules of the house hold", full: false, work: Work::Task(tidy::run) },
    Step {
        name: "clippy",
        proves: "no lint fires, tests and examples included",
        full: false,
        work: command(&[
            "cargo",
            "clippy",
            "--workspace",
            "--all-targets",
            "--features",
            "peerstream-sim/cli",
            "--",
            "-D",
            "warnings",
        ]),
    },
    Step {
        name: "doc",
        proves: "the documentation builds and its links resolve",
        full: false,
        work: Work::Command(Invocation {
            env: &[("RUSTDOCFLAGS", "-D warnings")],
            line: &["cargo", "doc", "--workspace", "--no-deps"],
        }),
    },
    Step {
        name: "rocksdb",
        proves: "a real RocksDB is there for the live test",
        full: false,
        work: Work::Task(venv::prepare),
    },
    Step {
        name: "test",
        proves: "all tests pass: units, documentation, fuzz smoke, several processes",
        full: false,
        work: command(&["cargo", "test", "--workspace"]),
    },
    Step {
        name: "consumers",
        proves: "each crate works for somebody outside the workspace",
        full: false,
        work: Work::Task(consumers),
    },
    Step {
        name: "long property tests",
        proves: "properties hold over many more cases",
        full: true,
        work: Work::Command(Invocation {
            env: &[("PROPTEST_CASES", "4096")],
            line: &["cargo", "test", "--workspace", "--lib", "--tests"],
        }),
    },
    Step {
        name: "large models",
        proves: "session and job keep their properties in the large worlds, searched exhaustively",
        full: true,
        work: command(&["cargo", "test", "--release", "-p", "peerstream-models"]),
    },
    Step {
        name: "demo",
        proves: "the demonstration of the README works at full speed",
        full: true,
        work: command(&["cargo", "xtask", "demo", "--release"]),
    },
    Step {
        name: "simulated faults",
        proves: "the promises hold whatever goes wrong, over many seeds",
        full: true,
        work: Work::Task(sim::sweep),
    },
    Step {
        name: "simulated traces",
        proves: "a seed gives the same trace in every process, in the debug and the release build",
        full: true,
        work: Work::Task(sim::compare_builds),
    },
    Step {
        name: "instructions",
        proves: "no hot loop takes more instructions than it did",
        full: true,
        work: Work::IfAvailable {
            probe: &["valgrind", "--version"],
            file: None,
            run: Invocation { env: &[], line: &["cargo", "xtask", "instructions"] },
        },
    },
    Step {
        name: "deny",
        proves: "licences, sources and advisories of all dependencies are in order",
        full: true,
        work: Work::IfAvailable {
            probe: &["cargo", "deny", "--version"],
            file: None,
            run: Invocation { env: &[], line: &["cargo", "deny", "check"] },
        },
    },
    Step {
        name: "fuzz targets",
        proves: "the fuzz targets build",
        full: true,
        work: Work::IfAvailable {
            probe: &["cargo", "+nightly", "--version"],
            file: Some("fuzz/Cargo.toml"),
            run: Invocation {
                env: &[],
                line: &["cargo", "+nightly", "build", "--manifest-path", "fuzz/Cargo.toml"],
            },
        },
    },
];

/// Options: `--full` adds the long steps, `--from STEP` leaves out those before it, `--list` only shows the
/// table.
pub(crate) fn run(root: &Path, options: &[String]) -> anyhow::Result<()> {
    let options = Options::parse(options)?;
    let steps = options.steps()?;
    if options.list {
        print!("{}", list(STEPS));
        return Ok(());
    }
    let watch = Stopwatch::start();
    let mut report = String::new();
    for (index, step) in steps.iter().enumerate() {
        println!("\n== {}/{} {}: {}", index + 1, steps.len(), step.name, step.proves);
        let step_watch = Stopwatch::start();
        let outcome = step.run(root).with_context(|| format!("ci stopped at step `{}`", step.name))?;
        report +=
            &format!("  {:<20} {outcome:<8} {:>7.1} s\n", step.name, step_watch.elapsed().as_secs_f64());
    }
    println!("\n{report}ci: {} steps passed in {:.0} s", steps.len(), watch.elapsed().as_secs_f64());
    Ok(())
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    full: bool,
    list: bool,
    /// The step to begin with.
    from: Option<String>,
}

impl Options {
    fn parse(args: &[String]) -> anyhow::Result<Self> {
        let mut options = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--full" => options.full = true,
                "--list" => options.list = true,
                "--from" => options.from = Some(args.next().context("--from needs a step")?.clone()),
                unknown => {
                    anyhow::bail!("unknown option {unknown:?}; ci takes --full, --from STEP and --list")
                }
            }
        }
        Ok(options)
    }

    /// What is to be run.
    fn steps(&self) -> anyhow::Result<Vec<&'static Step>> {
        let mut steps: Vec<&Step> = STEPS.iter().filter(|step| self.full || !step.full).collect();
        if let Some(from) = &self.from {
            let first = steps.iter().position(|step| step.name == from);
            steps.drain(..first.with_context(|| format!("no step {from:?}; --list shows them"))?);
        }
        Ok(steps)
    }
}

fn list(steps: &[Step]) -> String {
    let line = |step: &Step| {
        let when = if step.full { "--full" } else { "always" };
        format!("{:<20} {when:<7} {}\n{:<29}{}\n", step.name, step.proves, "", step.work.describe())
    };
    steps.iter().map(line).collect()
}

impl Step {
    fn run(&self, root: &Path) -> anyhow::Result<&'static str> {
        match &self.work {
            Work::Command(invocation) => invocation.run(root)?,
            Work::Task(task) => task(root)?,
            Work::IfAvailable { probe, file, run } => {
                if let Some(file) = file.filter(|f| !root.join(f).exists()) {
                    println!("skipped: {file} does not exist");
                    return Ok("skipped");
                }
                if !answers(probe) {
                    println!("skipped: `{}` does not answer", probe.join(" "));
                    return Ok("skipped");
                }
                run.run(root)?;
            }
        }
        Ok("passed")
    }
}

impl Work {
    fn describe(&self) -> String {
        match self {
            Self::Command(invocation) => invocation.to_line(),
            Self::IfAvailable { run, .. } => format!("{} (where available)", run.to_line()),
            Self::Task(_) => "in xtask".to_owned(),
        }
    }
}

impl Invocation {
    fn to_line(&self) -> String {
        let env = self.env.iter().map(|(name, value)| format!("{name}={value:?}"));
        env.chain(self.line.iter().map(|&word| word.to_owned())).collect::<Vec<_>>().join(" ")
    }

    fn run(&self, root: &Path) -> anyhow::Result<()> {
        let (program, args) = self.line.split_first().expect("the table has no empty commands");
        let mut command = Command::new(program);
        command.args(args).envs(self.env.iter().copied()).current_dir(root);
        succeed(&mut command, &self.to_line())
    }
}

/// Every crate in `tests/consumers` is run, or tested if it is a library: it uses us from outside, as
/// a user would. They share a target directory, and the versions of our lock file: a new release of a
/// library may not break an old commit.
fn consumers(root: &Path) -> anyhow::Result<()> {
    let dir = root.join("tests/consumers");
    let consumers = consumers_in(&dir)?;
    anyhow::ensure!(!consumers.is_empty(), "no crate in {}", dir.display());
    for consumer in consumers {
        std::fs::copy(root.join("Cargo.lock"), consumer.join("Cargo.lock"))
            .with_context(|| format!("copying the lock file to {}", consumer.display()))?;
        let mut command = Command::new("cargo");
        let task = if consumer.join("src/main.rs").exists() { "run" } else { "test" };
        command.args([task, "--quiet"]).current_dir(&consumer);
        command.env("CARGO_TARGET_DIR", root.join("target/consumers"));
        // Nobody debugs them, and debug information doubles their time and size.
        command.env("CARGO_PROFILE_DEV_DEBUG", "0");
        println!("consumer {}", consumer.display());
        succeed(&mut command, &format!("cargo {task} in {}", consumer.display()))?;
    }
    Ok(())
}

/// The directories with a manifest, in order of their names.
fn consumers_in(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for item in std::fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))? {
        let path = item?.path();
        if path.join("Cargo.toml").exists() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn succeed(command: &mut Command, line: &str) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("starting `{line}`"))?;
    anyhow::ensure!(status.success(), "`{line}` failed: {status}");
    Ok(())
}

/// Whether a tool is installed: the probe runs and succeeds.
fn answers(probe: &[&str]) -> bool {
    let (program, args) = probe.split_first().expect("the table has no empty probes");
    let args: Vec<OsString> = args.iter().map(OsString::from).collect();
    let status = Command::new(program).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|s| s.success())
}

/// How long a step takes on this machine; nothing else in the house reads a clock by itself.
struct Stopwatch(std::time::Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "the report for a person shows real durations")]
    fn start() -> Self {
        Self(std::time::Instant::now())
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_shows_every_step_and_its_command() {
        let shown = list(STEPS);
        for step in STEPS {
            assert!(shown.contains(step.name) && shown.contains(&step.work.describe()), "{shown}");
        }
        assert!(shown.contains("RUSTDOCFLAGS=\"-D warnings\" cargo doc"), "{shown}");
    }

    #[test]
    fn unknown_option_is_refused() {
        let parse = |args: &[&str]| Options::parse(&args.iter().map(|&a| a.to_owned()).collect::<Vec<_>>());
        assert_eq!(parse(&["--full"]).unwrap(), Options { full: true, list: false, from: None });
        assert!(parse(&["--ful"]).is_err());
        assert!(parse(&["--from"]).is_err());
    }

    #[test]
    fn a_run_goes_on_at_a_step() {
        let names = |full, from: &str| {
            let options = Options { full, list: false, from: Some(from.to_owned()) };
            options.steps().map(|steps| steps.iter().map(|step| step.name).collect::<Vec<_>>())
        };
        assert_eq!(names(false, "test").unwrap(), ["test", "consumers"]);
        assert_eq!(names(true, "deny").unwrap(), ["deny", "fuzz targets"]);
        assert!(names(false, "deny").is_err(), "it is a step of --full");
    }

    #[test]
    fn failing_command_is_named() {
        let error = Invocation { env: &[], line: &["false"] }.run(Path::new(".")).unwrap_err();
        assert!(error.to_string().starts_with("`false` failed"), "{error}");
    }

    #[test]
    fn missing_tool_is_skipped_and_missing_file_too() {
        let run = || Invocation { env: &[], line: &["false"] };
        for work in [
            Work::IfAvailable { probe: &["no-such-tool"], file: None, run: run() },
            Work::IfAvailable { probe: &["true"], file: Some("no/such/file"), run: run() },
        ] {
            let step = Step { name: "a", proves: "b", full: true, work };
            assert_eq!(step.run(Path::new(".")).unwrap(), "skipped");
        }
    }

    #[test]
    fn consumers_are_found_in_order() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b", "a"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            std::fs::write(dir.path().join(name).join("Cargo.toml"), "").unwrap();
        }
        std::fs::create_dir(dir.path().join("no-crate")).unwrap();
        assert_eq!(consumers_in(dir.path()).unwrap(), [dir.path().join("a"), dir.path().join("b")]);
    }
}
