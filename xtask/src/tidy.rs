//! `cargo xtask tidy`: the rules of the house that no compiler checks.
//!
//! Each check is a file with a function from the [`Tree`] (or the [`workspace`]) to findings; all
//! of them run, so that one call shows everything. The rules themselves are data in [`house`].

mod docs;
mod edges;
mod features;
mod functions;
mod house;
mod manifests;
mod mask;
mod phrases;
mod readme;
mod sources;
mod tree;
mod workspace;

use std::fmt;
use std::path::Path;

use tree::Tree;
use workspace::Workspace;

/// One broken rule: where, what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    /// Counted from 1; 0 when the whole file is meant.
    line: usize,
    message: String,
}

impl Finding {
    fn file(path: &str, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: 0, message: message.into() }
    }

    fn line(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.message),
            line => write!(f, "{}:{line}: {}", self.path, self.message),
        }
    }
}

/// Runs every check. The error counts the findings, which are printed before.
pub(crate) fn run(root: &Path) -> anyhow::Result<()> {
    let tree = Tree::read(root)?;
    let workspace = Workspace::load(root)?;
    let mut findings = check(&tree, &workspace);
    findings.sort();
    for finding in &findings {
        eprintln!("{finding}");
    }
    anyhow::ensure!(findings.is_empty(), "tidy: {} findings", findings.len());
    println!("tidy: {} files and {} crates are in order", tree.len(), workspace.members.len());
    Ok(())
}

fn check(tree: &Tree, workspace: &Workspace) -> Vec<Finding> {
    [
        edges::check(workspace),
        manifests::check(tree, workspace),
        sources::check(tree),
        features::check(tree, workspace),
        docs::check(tree),
        readme::check(tree, workspace),
        phrases::check(tree),
    ]
    .concat()
}
