//! Nothing of the machine that a file was written on may stay in it.

use super::Finding;
use super::house::MACHINE_PATHS;
use super::tree::Tree;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.iter() {
        for (index, line) in text.lines().enumerate() {
            for phrase in MACHINE_PATHS.iter().filter(|p| names_absolute(line, p)) {
                let message = format!(
                    "`{phrase}…` is a directory of one machine: use a path from the root of the repository"
                );
                findings.push(Finding::line(path, index + 1, message));
            }
        }
    }
    findings
}

/// Whether the line has the path at its beginning, and not as the middle of a longer one.
fn names_absolute(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| {
            c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '}' | ')' | '/' | '*' | '~')
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_of_a_machine_is_found() {
        let home = MACHINE_PATHS[0];
        for text in
            [format!("cd {home}main"), format!("\"{home}x\""), format!("a\n`{home}`"), home.to_owned()]
        {
            let found = check(&Tree::of(&[("docs/a.md", &text)]));
            assert_eq!(found.len(), 1, "{text}");
        }
    }

    #[test]
    fn middle_of_a_longer_path_passes() {
        let home = MACHINE_PATHS[0];
        for text in [format!("target{home}x"), format!("${{dir}}{home}x"), format!("..{home}x")] {
            assert_eq!(check(&Tree::of(&[("docs/a.md", &text)])), [], "{text}");
        }
    }
}
