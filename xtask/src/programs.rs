//! Programs of the workspace, built, and found where cargo says that it put them: the target directory is
//! named by the environment and by configuration files, too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde::Deserialize;

/// Programs that were built, by name.
#[derive(Debug)]
pub(crate) struct Programs(BTreeMap<String, PathBuf>);

/// The parts of a line of cargo's that are needed.
#[derive(Debug, Deserialize)]
struct Message {
    executable: Option<PathBuf>,
}

impl Programs {
    /// Builds packages with a profile; cargo's own words go to the terminal.
    pub(crate) fn build(root: &Path, profile: &str, packages: &[&str]) -> anyhow::Result<Self> {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--message-format", "json-render-diagnostics", "--profile", profile]);
        let cargo = cargo.args(packages).current_dir(root).stderr(Stdio::inherit());
        let built = cargo.output().context(env!("CARGO"))?;
        ensure!(built.status.success(), "cargo build {} failed", packages.join(" "));
        Self::told(&String::from_utf8_lossy(&built.stdout))
    }

    /// Those that cargo's messages tell of.
    fn told(messages: &str) -> anyhow::Result<Self> {
        let mut programs = BTreeMap::new();
        for line in messages.lines() {
            let message: Message =
                serde_json::from_str(line).with_context(|| format!("cargo said {line:?}"))?;
            let Some(path) = message.executable else { continue };
            let name = path.file_stem().map(|name| name.to_string_lossy().into_owned());
            programs.insert(name.unwrap_or_default(), path);
        }
        Ok(Self(programs))
    }

    /// Where a program is.
    pub(crate) fn path(&self, name: &str) -> anyhow::Result<&Path> {
        let path = self.0.get(name).with_context(|| format!("cargo built no program {name:?}"))?;
        ensure!(path.is_file(), "cargo built {name}, but {} is not there", path.display());
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_in_a_target_directory_that_is_set() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("Cargo.toml", "[package]\nname = 'tiny'\nversion = '1.0.0'\nedition = '2024'\n[workspace]");
        write("src/main.rs", "fn main() { println!(\"found\") }");
        write(".cargo/config.toml", "[build]\ntarget-dir = 'elsewhere'");
        // One that is left from an earlier build is not the one that was built.
        write("target/debug/tiny", "stale");
        let programs = Programs::build(dir.path(), "dev", &["--package", "tiny"]).unwrap();
        let path = programs.path("tiny").unwrap();
        assert!(!path.starts_with(dir.path().join("target")), "{}", path.display());
        assert_eq!(Command::new(path).output().unwrap().stdout, b"found\n");
    }

    #[test]
    fn a_program_that_is_not_there_is_named_with_its_path() {
        let gone = "{\"reason\":\"compiler-artifact\",\"executable\":\"/nonexistent/gone\"}";
        let lib = "{\"reason\":\"compiler-artifact\",\"executable\":null}\n{\"reason\":\"build-finished\"}";
        let programs = Programs::told(&format!("{gone}\n{lib}")).unwrap();
        let why = |name| programs.path(name).unwrap_err().to_string();
        assert!(why("gone").contains("/nonexistent/gone"), "{}", why("gone"));
        assert!(why("other").contains("no program \"other\""), "{}", why("other"));
        assert!(Programs::told("warning: this is no JSON").is_err());
    }
}
