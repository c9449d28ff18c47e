//! The crates of the workspace and what they depend on, as cargo sees them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::Context;
use serde::Deserialize;

/// The members, and everything that they are built from.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    pub(super) members: Vec<Member>,
}

/// One crate of the workspace.
#[derive(Debug, Default, Clone)]
pub(super) struct Member {
    pub(super) name: String,
    /// Relative to the root, with forward slashes and no slash at the end: `crates/types`.
    pub(super) dir: String,
    /// Named in `[dependencies]` or `[build-dependencies]`, optional ones as well.
    pub(super) dependencies: BTreeSet<String>,
    /// All packages that it is built from, itself left out; tests do not count.
    pub(super) reachable: BTreeSet<String>,
}

impl Member {
    /// The name of the crate in Rust paths.
    pub(super) fn crate_name(&self) -> String {
        self.name.replace('-', "_")
    }

    pub(super) fn manifest(&self) -> String {
        format!("{}/Cargo.toml", self.dir)
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    manifest_path: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<NodeDep>,
}

#[derive(Deserialize)]
struct NodeDep {
    pkg: String,
    dep_kinds: Vec<DepKind>,
}

#[derive(Deserialize)]
struct DepKind {
    kind: Option<String>,
}

impl Workspace {
    /// Asks `cargo metadata`. Fails if a manifest of the workspace cannot be read.
    pub(super) fn load(root: &Path) -> anyhow::Result<Self> {
        let output = Command::new("cargo")
            .args(["metadata", "--format-version", "1"])
            .current_dir(root)
            .output()
            .context("starting cargo metadata")?;
        anyhow::ensure!(
            output.status.success(),
            "cargo metadata failed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let metadata = serde_json::from_slice(&output.stdout).context("reading cargo metadata")?;
        Self::from_metadata(root, &metadata)
    }

    fn from_metadata(root: &Path, metadata: &Metadata) -> anyhow::Result<Self> {
        let mut members = Vec::new();
        for package in metadata.packages.iter().filter(|p| metadata.workspace_members.contains(&p.id)) {
            let dir = Path::new(&package.manifest_path).parent().unwrap_or(Path::new(""));
            let dir = dir.strip_prefix(root).with_context(|| format!("{} is outside", package.name))?;
            members.push(Member {
                name: package.name.clone(),
                dir: dir.to_string_lossy().replace('\\', "/"),
                dependencies: built_from(package),
                reachable: reachable(metadata, &package.id),
            });
        }
        Ok(Self { members })
    }

    #[cfg(test)]
    pub(super) fn of(members: Vec<Member>) -> Self {
        Self { members }
    }
}

fn built_from(package: &Package) -> BTreeSet<String> {
    let named = package.dependencies.iter().filter(|d| d.kind.as_deref() != Some("dev"));
    named.map(|d| d.name.clone()).collect()
}

/// Package names in the resolved graph below `start`, over edges that are not for tests only.
fn reachable(metadata: &Metadata, start: &str) -> BTreeSet<String> {
    let nodes: BTreeMap<&str, &Node> = metadata.resolve.nodes.iter().map(|n| (n.id.as_str(), n)).collect();
    let mut seen = BTreeSet::new();
    let mut open = vec![start];
    while let Some(id) = open.pop() {
        let Some(node) = nodes.get(id) else { continue };
        for dep in &node.deps {
            let built = dep.dep_kinds.iter().any(|k| k.kind.as_deref() != Some("dev"));
            if built && seen.insert(dep.pkg.as_str()) {
                open.push(&dep.pkg);
            }
        }
    }
    metadata.packages.iter().filter(|p| seen.contains(p.id.as_str())).map(|p| p.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = r#"{
        "workspace_members": ["a-id"],
        "packages": [
            {"id": "a-id", "name": "a", "manifest_path": "/repo/crates/a/Cargo.toml", "dependencies": [
                {"name": "b", "kind": null}, {"name": "t", "kind": "dev"}]},
            {"id": "b-id", "name": "b", "manifest_path": "/x/b/Cargo.toml", "dependencies": []},
            {"id": "c-id", "name": "c", "manifest_path": "/x/c/Cargo.toml", "dependencies": []},
            {"id": "t-id", "name": "t", "manifest_path": "/x/t/Cargo.toml", "dependencies": []}],
        "resolve": {"nodes": [
            {"id": "a-id", "deps": [
                {"pkg": "b-id", "dep_kinds": [{"kind": null}]},
                {"pkg": "t-id", "dep_kinds": [{"kind": "dev"}]}]},
            {"id": "b-id", "deps": [{"pkg": "c-id", "dep_kinds": [{"kind": null}]}]}]}
    }"#;

    #[test]
    fn tests_are_no_edges_and_others_are_followed() {
        let metadata = serde_json::from_str(METADATA).unwrap();
        let workspace = Workspace::from_metadata(Path::new("/repo"), &metadata).unwrap();

        let [a] = workspace.members.as_slice() else { panic!("one member: {workspace:?}") };
        assert_eq!(a.dir, "crates/a");
        assert_eq!(a.dependencies, BTreeSet::from(["b".to_owned()]));
        assert_eq!(a.reachable, BTreeSet::from(["b".to_owned(), "c".to_owned()]));
    }
}
