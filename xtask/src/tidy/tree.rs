//! The text files of the checkout, read once.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context;

/// What builds leave behind, and what belongs to git.
const SKIPPED_DIRS: &[&str] = &["target", ".git"];

/// Relative path with forward slashes, and content. Files that are not UTF-8 are not kept.
#[derive(Debug, Default)]
pub(super) struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    pub(super) fn read(root: &Path) -> anyhow::Result<Self> {
        let mut tree = Self::default();
        tree.read_dir(root, "")?;
        Ok(tree)
    }

    fn read_dir(&mut self, dir: &Path, prefix: &str) -> anyhow::Result<()> {
        for item in fs::read_dir(dir).with_context(|| format!("reading directory {}", dir.display()))? {
            let item = item?;
            let name = item.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            let kind = item.file_type()?;
            if kind.is_dir() {
                if !SKIPPED_DIRS.contains(&name.as_str()) {
                    self.read_dir(&item.path(), &format!("{path}/"))?;
                }
            } else if kind.is_file() {
                let bytes = fs::read(item.path()).with_context(|| format!("reading {path}"))?;
                if let Ok(text) = String::from_utf8(bytes) {
                    self.files.insert(path, text);
                }
            }
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        Self { files: files.iter().map(|&(path, text)| (path.to_owned(), text.to_owned())).collect() }
    }

    pub(super) fn get(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    pub(super) fn rust_files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter().filter(|(path, _)| path.ends_with(".rs"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_and_binary_files_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("crates/a/target")).unwrap();
        fs::write(dir.path().join("crates/a/lib.rs"), "//! A.\n").unwrap();
        fs::write(dir.path().join("crates/a/target/out.rs"), "x").unwrap();
        fs::write(dir.path().join("golden.bin"), [0xff, 0xfe, 0x00]).unwrap();

        let tree = Tree::read(dir.path()).unwrap();

        assert_eq!(tree.iter().collect::<Vec<_>>(), [("crates/a/lib.rs", "//! A.\n")]);
    }
}
