//! Rules for every Rust file: a header, no code that may not stay, files and functions of a size
//! that a person reads in one sitting.

use super::Finding;
use super::functions::functions;
use super::house::{FORBIDDEN_CODE, FUNCTION_LINES_MAX, SOURCE_LINES_MAX, TEST_LINES_MAX};
use super::mask::{is_word, line_at, mask};
use super::tree::Tree;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in tree.rust_files() {
        header(path, source, &mut findings);
        forbidden(path, source, &mut findings);
        lengths(path, source, &mut findings);
    }
    findings
}

fn header(path: &str, source: &str, findings: &mut Vec<Finding>) {
    let first = source.lines().next().unwrap_or_default();
    if first.strip_prefix("//!").is_none_or(|text| text.trim().is_empty()) {
        findings.push(Finding::line(path, 1, "start with a `//!` line that says what the file holds"));
    }
}

fn forbidden(path: &str, source: &str, findings: &mut Vec<Finding>) {
    let code = mask(source);
    for (phrase, instead) in FORBIDDEN_CODE {
        for (at, _) in code.match_indices(phrase) {
            let inside_a_name = at > 0 && is_word(code.as_bytes()[at - 1]);
            if !inside_a_name {
                findings.push(Finding::line(path, line_at(&code, at), format!("`{phrase}`: {instead}")));
            }
        }
    }
    for (index, line) in source.lines().enumerate() {
        let doc = line.trim_start();
        let is_doc = doc.starts_with("///") || doc.starts_with("//!");
        if is_doc && doc[3..].trim_start().starts_with("```ignore") {
            findings.push(Finding::line(
                path,
                index + 1,
                "an example that is not compiled: use `no_run` or `text`",
            ));
        }
    }
}

fn lengths(path: &str, source: &str, findings: &mut Vec<Finding>) {
    let tests_only = is_test_file(path);
    let (limit, what) = if tests_only { (TEST_LINES_MAX, "tests") } else { (SOURCE_LINES_MAX, "code") };
    let lines = source.lines().count();
    if lines > limit {
        let message =
            format!("{lines} lines, and {limit} is the limit for {what}: give each concept its file");
        findings.push(Finding::file(path, message));
    }
    if tests_only {
        return;
    }
    for function in functions(source).iter().filter(|f| !f.for_tests && f.lines > FUNCTION_LINES_MAX) {
        let message = format!(
            "fn {} has {} lines, and {FUNCTION_LINES_MAX} is the limit: name its steps",
            function.name, function.lines
        );
        findings.push(Finding::line(path, function.line, message));
    }
}

/// Whether a whole file is tests: below `tests/`, or the `tests.rs` of a module.
pub(super) fn is_test_file(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "crates/a/src/b.rs";

    fn messages(path: &str, source: &str) -> Vec<String> {
        check(&Tree::of(&[(path, source)])).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn file_in_order_passes() {
        let source =
            "//! Sums.\n\n// A todo!() in a comment.\nfn sum() -> &'static str {\n    \"dbg!(1)\"\n}\n";
        assert_eq!(messages(PATH, source), Vec::<String>::new());
    }

    #[test]
    fn missing_and_empty_headers_are_found() {
        for source in ["", "use std::fs;\n", "//!\nfn a() {}\n", "// A comment.\n"] {
            assert_eq!(messages(PATH, source).len(), 1, "{source:?}");
        }
    }

    #[test]
    fn code_that_may_not_stay_is_found_with_its_line() {
        for code in ["todo!()", "unimplemented!()", "dbg!(x)", "std::thread::sleep(d)"] {
            let found = messages(PATH, &format!("//! A.\nfn a() {{ {code} }}\n"));
            assert_eq!(found.len(), 1, "{code}: {found:?}");
            assert!(found[0].starts_with("crates/a/src/b.rs:2: `"), "{found:?}");
        }
        assert_eq!(messages(PATH, "//! A.\n#[test]\n#[ignore = \"slow\"]\nfn a() {}\n").len(), 1);
        assert_eq!(messages(PATH, "//! ```ignore\n//! a\n//! ```\n").len(), 1);
    }

    #[test]
    fn long_files_are_found_and_tests_may_be_longer() {
        let lines = |n: usize| format!("//! A.\n{}", "// x\n".repeat(n - 1));
        assert_eq!(messages(PATH, &lines(500)).len(), 0);
        assert_eq!(messages(PATH, &lines(501)).len(), 1);
        assert_eq!(messages("crates/a/tests/b.rs", &lines(800)).len(), 0);
        assert_eq!(messages("crates/a/src/b/tests.rs", &lines(801)).len(), 1);
    }

    #[test]
    fn long_functions_are_found_outside_tests() {
        let long = format!("fn long() {{\n{}}}\n", "    // }\n".repeat(69));
        let found = messages(PATH, &format!("//! A.\n{long}"));
        assert_eq!(found, ["crates/a/src/b.rs:2: fn long has 71 lines, and 70 is the limit: name its steps"]);
        assert_eq!(messages(PATH, &format!("//! A.\n#[cfg(test)]\nmod tests {{\n{long}}}\n")).len(), 0);
        assert_eq!(messages("tests/scenarios/src/lib.rs", &format!("//! A.\n{long}")).len(), 0);
    }
}
