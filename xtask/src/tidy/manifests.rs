//! One manifest has the versions, one set of lints: members inherit both.

use toml::{Table, Value};

use super::Finding;
use super::tree::Tree;
use super::workspace::Workspace;

const DEPENDENCY_TABLES: &[&str] = &["dependencies", "dev-dependencies", "build-dependencies"];

pub(super) fn check(tree: &Tree, workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in &workspace.members {
        let path = member.manifest();
        match tree.get(&path).map(toml::from_str::<Table>) {
            None => findings.push(Finding::file(&path, "the manifest is missing")),
            Some(Err(error)) => findings.push(Finding::file(&path, format!("not TOML: {error}"))),
            Some(Ok(manifest)) => {
                lints(&path, &manifest, &mut findings);
                versions(&path, &manifest, &mut findings);
            }
        }
    }
    findings
}

fn lints(path: &str, manifest: &Table, findings: &mut Vec<Finding>) {
    if !inherits(manifest.get("lints")) {
        findings.push(Finding::file(path, "add `[lints] workspace = true`: there is one set of lints"));
    }
}

fn versions(path: &str, manifest: &Table, findings: &mut Vec<Finding>) {
    let targets = manifest.get("target").and_then(Value::as_table);
    let scopes = targets.into_iter().flat_map(Table::values).filter_map(Value::as_table);
    for scope in std::iter::once(manifest).chain(scopes) {
        for table in DEPENDENCY_TABLES.iter().filter_map(|t| scope.get(*t)?.as_table()) {
            for (name, _) in table.iter().filter(|(_, spec)| !inherits(Some(spec))) {
                findings.push(Finding::file(
                    path,
                    format!("{name}: say `workspace = true`; versions and paths live in the root Cargo.toml"),
                ));
            }
        }
    }
}

/// Whether a table says `workspace = true`.
fn inherits(value: Option<&Value>) -> bool {
    value.and_then(|v| v.get("workspace")).and_then(Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::super::workspace::Member;
    use super::*;

    fn messages(manifest: &str) -> String {
        let member = Member { name: "a".to_owned(), dir: "crates/a".to_owned(), ..Member::default() };
        let tree = Tree::of(&[("crates/a/Cargo.toml", manifest)]);
        check(&tree, &Workspace::of(vec![member])).iter().map(|f| format!("{f}\n")).collect()
    }

    #[test]
    fn inherited_lints_and_versions_pass() {
        let manifest = "lints.workspace = true\n[dependencies]\nserde.workspace = true\n\
                        tokio = { workspace = true, features = [\"rt\"], optional = true }\n";
        assert_eq!(messages(manifest), "");
    }

    #[test]
    fn lints_of_its_own_are_found() {
        assert!(messages("[dependencies]\n").contains("`[lints] workspace = true`"));
        assert!(messages("[lints.rust]\nunsafe_code = \"warn\"\n").contains("`[lints] workspace = true`"));
    }

    #[test]
    fn version_in_a_member_is_found_wherever_it_stands() {
        for table in
            ["dependencies", "dev-dependencies", "build-dependencies", "target.'cfg(unix)'.dependencies"]
        {
            let found = messages(&format!("lints.workspace = true\n[{table}]\nserde = \"1\"\n"));
            assert!(found.contains("serde: say `workspace = true`"), "{table}: {found}");
        }
    }

    #[test]
    fn path_in_a_member_is_found() {
        let found = messages("lints.workspace = true\n[dependencies]\nb = { path = \"../b\" }\n");
        assert!(found.contains("b: say `workspace = true`"), "{found}");
    }
}
