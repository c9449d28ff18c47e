//! Documents that other checks and CI rely on are there.

use super::Finding;
use super::tree::Tree;

/// Files that must exist, and who needs them.
const REQUIRED: &[(&str, &str)] = &[
    ("docs/protocol.md", "its table of limits is held against the wire crate by a test there"),
    ("crates/wire/src/limits.rs", "it holds the table that docs/protocol.md shows"),
    ("docs/ARCHITECTURE.md", "every README points at it"),
    ("docs/SHORTCOMINGS.md", "what is missing is said in one place"),
    ("docs/features.md", "the table of demands"),
    ("CHANGELOG.md", "what users notice is written down there"),
    ("CONTRIBUTING.md", "the rules of the house"),
    ("SECURITY.md", "how to report a hole"),
    ("LICENSE-MIT", "the manifests promise it"),
    ("LICENSE-APACHE", "the manifests promise it"),
    ("deny.toml", "which licences and sources are allowed"),
];

/// Stands in README.md before the fenced block with the command that tests everything; `.ci/run`
/// takes the command from there.
const TEST_COMMAND_MARKER: &str = "<!-- test-command -->";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let missing =
        REQUIRED.iter().filter(|(path, _)| tree.get(path).is_none_or(|text| text.trim().is_empty()));
    let mut findings: Vec<_> =
        missing.map(|(path, why)| Finding::file(path, format!("missing or empty: {why}"))).collect();
    match tree.get("README.md") {
        None => findings.push(Finding::file("README.md", "missing")),
        Some(text) if test_command(text).is_none() => findings.push(Finding::file(
            "README.md",
            format!("no `{TEST_COMMAND_MARKER}` line followed by a fenced block with the test command"),
        )),
        Some(_) => {}
    }
    findings
}

/// The lines of the fenced block that follows the marker.
fn test_command(readme: &str) -> Option<String> {
    let after = readme.lines().skip_while(|l| l.trim() != TEST_COMMAND_MARKER);
    let mut block = after.skip_while(|l| !l.starts_with("```")).skip(1).peekable();
    block.peek()?;
    let command: Vec<_> = block.take_while(|l| !l.starts_with("```")).collect();
    (!command.is_empty()).then(|| command.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_command_is_taken_from_the_block_after_the_marker() {
        let readme = "# a\n```sh\nother\n```\n<!-- test-command -->\n\n```sh\ncargo xtask ci\n```\n";
        assert_eq!(test_command(readme).as_deref(), Some("cargo xtask ci"));
    }

    #[test]
    fn readme_without_test_command_is_found() {
        for readme in ["# a\n", "# a\n```sh\ncargo test\n```\n", "<!-- test-command -->\n```sh\n```\n"] {
            assert_eq!(test_command(readme), None, "{readme}");
        }
    }

    #[test]
    fn missing_documents_are_found() {
        let found = check(&Tree::of(&[("docs/protocol.md", "\n"), ("deny.toml", "x")]));
        let paths: Vec<_> = found.iter().map(|f| f.path.as_str()).collect();
        assert!(paths.contains(&"docs/protocol.md") && paths.contains(&"README.md"), "{paths:?}");
        assert!(!paths.contains(&"deny.toml"), "{paths:?}");
    }
}
