//! Every crate has a README that a stranger can start from.

use super::house::README_LINES_MIN;
use super::tree::Tree;
use super::workspace::{Member, Workspace};
use super::{Finding, house};

pub(super) fn check(tree: &Tree, workspace: &Workspace) -> Vec<Finding> {
    let libraries = workspace.members.iter().filter(|m| !m.dir.starts_with(house::TEST_PACKAGES_DIR));
    libraries.filter_map(|member| check_one(tree, member)).collect()
}

fn check_one(tree: &Tree, member: &Member) -> Option<Finding> {
    let path = format!("{}/README.md", member.dir);
    let Some(text) = tree.get(&path) else {
        return Some(Finding::file(&path, "missing: say what the crate is for and show an example"));
    };
    let title = format!("# {}", member.name);
    let wrong = if text.lines().next() != Some(title.as_str()) {
        format!("start with the title `{title}`")
    } else if text.lines().count() < README_LINES_MIN {
        format!("a placeholder: fewer than {README_LINES_MIN} lines")
    } else if !text.contains("\n```") {
        "has no example in a fenced block".to_owned()
    } else {
        return None;
    };
    Some(Finding::file(&path, wrong))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(readme: Option<&str>) -> Option<String> {
        let member = Member { name: "a-b".to_owned(), dir: "crates/b".to_owned(), ..Member::default() };
        let tree = readme.map_or_else(Tree::default, |text| Tree::of(&[("crates/b/README.md", text)]));
        check(&tree, &Workspace::of(vec![member])).pop().map(|f| f.message)
    }

    #[test]
    fn readme_with_purpose_and_example_passes() {
        assert_eq!(finding(Some("# a-b\n\nWhat it\nis for.\n\n```rust\nb();\n```\n")), None);
    }

    #[test]
    fn missing_and_empty_readmes_are_found() {
        for (readme, message) in [
            (None, "missing"),
            (Some("# b\n"), "start with the title `# a-b`"),
            (Some("# a-b\n\nSoon.\n"), "a placeholder"),
            (Some("# a-b\n1\n2\n3\n4\n5\n6\n7\n8\n"), "has no example"),
        ] {
            assert!(finding(readme).unwrap().starts_with(message), "{readme:?}");
        }
    }
}
