//! The table of demands, `docs/features.md`, says the truth: what is done has a test, and the test
//! says which row it proves.

use std::collections::BTreeSet;

use super::Finding;
use super::functions::{Function, functions, words};
use super::mask::mask;
use super::tree::Tree;
use super::workspace::Workspace;

const PATH: &str = "docs/features.md";

/// One row: `| id | demand | status | test |`.
#[derive(Debug, PartialEq, Eq)]
struct Row<'a> {
    line: usize,
    id: &'a str,
    demand: &'a str,
    status: &'a str,
    tests: Vec<&'a str>,
}

pub(super) fn check(tree: &Tree, workspace: &Workspace) -> Vec<Finding> {
    let Some(text) = tree.get(PATH) else {
        return vec![Finding::file(PATH, "missing")];
    };
    let mut findings = Vec::new();
    let mut seen = BTreeSet::new();
    for (line, cells) in table_lines(text) {
        match row(line, &cells) {
            Err(message) => findings.push(Finding::line(PATH, line, message)),
            Ok(row) => {
                if !seen.insert(row.id) {
                    findings.push(Finding::line(PATH, line, format!("{} has a row already", row.id)));
                }
                let problems = problems(tree, workspace, &row);
                findings.extend(
                    problems.into_iter().map(|m| Finding::line(PATH, line, format!("{}: {m}", row.id))),
                );
            }
        }
    }
    if seen.is_empty() {
        findings.push(Finding::file(PATH, "has no rows"));
    }
    findings
}

/// The body lines of tables whose first column is `id`, with their cells.
fn table_lines(text: &str) -> Vec<(usize, Vec<&str>)> {
    let mut found = Vec::new();
    let mut in_rows = false;
    for (index, line) in text.lines().enumerate() {
        let Some(inner) = line.strip_prefix('|') else {
            in_rows = false;
            continue;
        };
        let inner = inner.trim_end().strip_suffix('|').unwrap_or(inner);
        let cells: Vec<&str> = inner.split('|').map(str::trim).collect();
        if cells[0] == "id" {
            in_rows = true;
        } else if in_rows && !cells[0].starts_with("--") {
            found.push((index + 1, cells));
        }
    }
    found
}

fn row<'a>(line: usize, cells: &[&'a str]) -> Result<Row<'a>, String> {
    let &[id, demand, status, tests] = cells else {
        return Err(format!("{} cells; a row is `| id | demand | status | test |`", cells.len()));
    };
    let tests = tests.split(',').map(|t| t.trim().trim_matches('`')).filter(|t| !t.is_empty()).collect();
    Ok(Row { line, id, demand, status, tests })
}

fn problems(tree: &Tree, workspace: &Workspace, row: &Row<'_>) -> Vec<String> {
    let mut problems = Vec::new();
    if !is_id(row.id) {
        problems.push("an id is letters and a number: C03, C17b, F-50".to_owned());
    }
    if row.demand.is_empty() {
        problems.push("the demand is missing".to_owned());
    }
    match row.status {
        "open" if !row.tests.is_empty() => problems.push("is open and names a test: is it done?".to_owned()),
        "open" => {}
        "done" if row.tests.is_empty() => problems.push("is done and names no test".to_owned()),
        "done" => {
            problems
                .extend(row.tests.iter().filter_map(|test| problem_of_test(tree, workspace, row.id, test)));
        }
        other if other.strip_prefix("n/a, because ").is_some_and(|why| !why.trim().is_empty()) => {}
        other => problems.push(format!("status {other:?} is none of `done`, `open`, `n/a, because …`")),
    }
    problems
}

fn is_id(id: &str) -> bool {
    let letters = id.trim_start_matches(|c: char| c.is_ascii_uppercase());
    let digits = letters.strip_prefix('-').unwrap_or(letters);
    let suffix = digits.trim_start_matches(|c: char| c.is_ascii_digit());
    letters.len() < id.len() && suffix.len() < digits.len() && matches!(suffix, "" | "b" | "c" | "d")
}

/// What is wrong with a named test, if anything: it must exist, be a test, and name the row.
fn problem_of_test(tree: &Tree, workspace: &Workspace, id: &str, test: &str) -> Option<String> {
    let Some((place, name)) = test.rsplit_once("::") else {
        return Some(format!("{test}: name the test as `crate::module::name` or `file.rs::name`"));
    };
    let candidates = match functions_at(tree, workspace, place, name) {
        Ok(candidates) => candidates,
        Err(problem) => return Some(format!("{test}: {problem}")),
    };
    if candidates.is_empty() {
        return Some(format!("{test}: no such function"));
    }
    let Some(found) = candidates.iter().find(|f| f.is_test) else {
        return Some(format!("{test}: is not a test"));
    };
    let names_it = candidates.iter().any(|f| f.is_test && words(&f.docs, id).next().is_some());
    (!names_it)
        .then(|| format!("{test}: the doc comment of the test does not name {id} (line {})", found.line))
}

/// Functions of that name in the file or in the module that `place` stands for.
fn functions_at(
    tree: &Tree,
    workspace: &Workspace,
    place: &str,
    name: &str,
) -> Result<Vec<Function>, &'static str> {
    if place.ends_with(".rs") {
        let source = tree.get(place).ok_or("no such file")?;
        return Ok(functions(source).into_iter().filter(|f| f.name == name).collect());
    }
    let mut modules = place.split("::");
    let krate = modules.next().unwrap_or_default();
    let member = workspace.members.iter().find(|m| m.crate_name() == krate).ok_or("no such crate")?;
    let modules: Vec<&str> = modules.collect();
    let prefix = format!("{}/", member.dir);
    let files = tree.rust_files().filter(|(path, source)| {
        path.strip_prefix(&prefix).is_some_and(|inside| modules.iter().all(|m| has_module(inside, source, m)))
    });
    Ok(files.flat_map(|(_, source)| functions(source)).filter(|f| f.name == name).collect())
}

/// Whether a file lies in the module or declares it.
fn has_module(path: &str, source: &str, module: &str) -> bool {
    path.trim_end_matches(".rs").split('/').any(|part| part == module) || declares(source, module)
}

fn declares(source: &str, module: &str) -> bool {
    let code = mask(source);
    words(&code, "mod").any(|at| {
        let rest = code[at + 3..].trim_start();
        rest.strip_prefix(module).is_some_and(|after| after.trim_start().starts_with('{'))
    })
}

#[cfg(test)]
mod tests {
    use super::super::workspace::Member;
    use super::*;

    const TESTS: &str = "//! A.\n#[cfg(test)]\nmod tests {\n    /// F-50, C17b: a stalled source is replaced.\n    \
                         #[test]\n    fn stalled_source_is_replaced() {}\n    /// F-50.\n    fn helper() {}\n}\n";

    fn messages(rows: &str) -> Vec<String> {
        let text = format!("# Rows\n\n| id | demand | status | test |\n|---|---|---|---|\n{rows}");
        let tree = Tree::of(&[(PATH, &text), ("crates/a/src/fetch.rs", TESTS)]);
        let member =
            Member { name: "peerstream-a".to_owned(), dir: "crates/a".to_owned(), ..Member::default() };
        check(&tree, &Workspace::of(vec![member])).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn rows_in_order_pass() {
        let rows = "| F-50 | Idle is seen | done | `peerstream_a::fetch::tests::stalled_source_is_replaced` |\n\
                    | C17b | Ends once | done | `crates/a/src/fetch.rs::stalled_source_is_replaced` |\n\
                    | C18 | Late files | open | |\n| A32 | Reconciler | n/a, because repair does it | |\n";
        assert_eq!(messages(rows), Vec::<String>::new());
    }

    #[test]
    fn rows_out_of_order_are_found() {
        for (row, message) in [
            ("| C18 | Late files | open |", "3 cells; a row is"),
            ("| c18 | Late files | open | |", "an id is letters and a number"),
            ("| C18 | | open | |", "the demand is missing"),
            ("| C18 | Late files | soon | |", "status \"soon\" is none of"),
            ("| C18 | Late files | n/a, because | |", "is none of"),
            ("| C18 | Late files | done | |", "is done and names no test"),
            ("| C18 | Late files | open | `a::b` |", "is open and names a test"),
            ("| C18 | Late files | done | `stalled` |", "name the test as"),
        ] {
            let found = messages(&format!("{row}\n"));
            assert!(found.iter().any(|f| f.contains(message)), "{row}: {found:?}");
        }
    }

    #[test]
    fn second_row_of_an_id_is_found() {
        let found = messages("| C18 | Late files | open | |\n| C18 | Late again | open | |\n");
        assert_eq!(found, ["docs/features.md:6: C18 has a row already"]);
    }

    #[test]
    fn tests_that_prove_nothing_are_found() {
        for (id, test, message) in [
            ("F-50", "peerstream_b::fetch::tests::stalled_source_is_replaced", "no such crate"),
            ("F-50", "peerstream_a::serve::tests::stalled_source_is_replaced", "no such function"),
            ("F-50", "peerstream_a::fetch::tests::gone", "no such function"),
            ("F-50", "crates/a/src/gone.rs::stalled_source_is_replaced", "no such file"),
            ("F-50", "peerstream_a::fetch::tests::helper", "is not a test"),
            ("F-51", "peerstream_a::fetch::tests::stalled_source_is_replaced", "does not name F-51"),
            ("C17", "peerstream_a::fetch::tests::stalled_source_is_replaced", "does not name C17"),
        ] {
            let found = messages(&format!("| {id} | Something | done | `{test}` |\n"));
            assert!(found.len() == 1 && found[0].contains(message), "{test}: {found:?}");
        }
    }

    #[test]
    fn document_without_rows_is_found() {
        assert_eq!(messages(""), ["docs/features.md: has no rows"]);
    }
}
