//! The functions of a Rust file: name, doc comment, length, and whether they are tests.

use super::mask::{is_word, line_at, mask};

/// One function with a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) name: String,
    /// The line of the `fn`, counted from 1.
    pub(super) line: usize,
    /// Lines from the `fn` to the closing brace.
    pub(super) lines: usize,
    /// The text of its `///` lines.
    pub(super) docs: String,
    /// Carries `#[test]` or an attribute such as `#[tokio::test]`.
    pub(super) is_test: bool,
    /// Is a test, or lies in a module that is compiled for tests only.
    pub(super) for_tests: bool,
}

/// Every function of the file that has a body, in order.
pub(super) fn functions(source: &str) -> Vec<Function> {
    let code = mask(source);
    let test_modules = test_modules(&code);
    let mut found = Vec::new();
    for at in words(&code, "fn") {
        let name: String = code[at + 2..].trim_start().chars().take_while(|c| is_word_char(*c)).collect();
        let Some(body) = body(&code, at) else { continue };
        if name.is_empty() {
            continue;
        }
        let head_start = code[..at].rfind(['{', '}', ';']).map_or(0, |p| p + 1);
        let is_test = has_test_attribute(&code[head_start..at]);
        let line = line_at(&code, at);
        found.push(Function {
            name,
            line,
            lines: line_at(&code, body.end) - line + 1,
            docs: doc_lines(&source[head_start..at]),
            is_test,
            for_tests: is_test || test_modules.iter().any(|m| m.contains(&at)),
        });
    }
    found
}

/// Byte ranges of the bodies of `#[cfg(test)] mod … { … }`.
fn test_modules(code: &str) -> Vec<std::ops::Range<usize>> {
    let attributes = code.match_indices("#[cfg(test)]").map(|(at, _)| at);
    attributes
        .filter_map(|at| {
            let item = code[at..].find(['{', ';']).map(|p| at + p)?;
            let is_module = words(&code[at..item], "mod").next().is_some();
            is_module.then(|| braces(code, item)).flatten()
        })
        .collect()
}

/// The body of the function whose `fn` is at `at`: from its opening to its closing brace.
fn body(code: &str, at: usize) -> Option<std::ops::Range<usize>> {
    let mut depth = 0_usize;
    for (offset, byte) in code.bytes().enumerate().skip(at) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.checked_sub(1)?,
            b'{' if depth == 0 => return braces(code, offset),
            b';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// From the brace at `open` to the one that closes it.
fn braces(code: &str, open: usize) -> Option<std::ops::Range<usize>> {
    let mut depth = 0_usize;
    for (offset, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(open..offset);
                }
            }
            _ => {}
        }
    }
    None
}

/// Offsets at which `word` stands alone.
pub(super) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let bytes = code.as_bytes();
    code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let before = at.checked_sub(1).map(|p| bytes[p]);
        let after = bytes.get(at + word.len()).copied();
        // `r#fn` is a name.
        !before.is_some_and(|b| is_word(b) || b == b'#') && !after.is_some_and(is_word)
    })
}

fn is_word_char(c: char) -> bool {
    u8::try_from(c).is_ok_and(is_word)
}

/// Whether an attribute of the head ends in `test`: `#[test]`, `#[tokio::test(…)]`.
fn has_test_attribute(head: &str) -> bool {
    head.split("#[").skip(1).any(|attribute| {
        let path = attribute.split(['(', ']']).next().unwrap_or_default();
        path.rsplit("::").next().unwrap_or_default().trim() == "test"
    })
}

fn doc_lines(head: &str) -> String {
    let lines = head.lines().filter_map(|l| l.trim_start().strip_prefix("///"));
    lines.map(str::trim).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_docs_and_length_are_seen() {
        let source = "struct A;\n\n/// F-50: waits.\n#[expect(dead_code)]\npub(crate) async fn wait(\n    x: [u8; 4],\n) {\n    \
                      let y = \"}\";\n}\n";
        let [wait] = functions(source).try_into().unwrap();
        assert_eq!((wait.name.as_str(), wait.line, wait.lines), ("wait", 5, 5));
        assert_eq!(wait.docs, "F-50: waits.");
        assert!(!wait.for_tests);
    }

    #[test]
    fn declarations_and_pointers_are_no_functions() {
        let source = "trait A {\n    fn a(&self) -> u8;\n}\nstruct B(fn(u8) -> u8);\n";
        assert_eq!(functions(source), []);
    }

    #[test]
    fn tests_are_told_from_code() {
        let source = "fn code() {}\n#[cfg(test)]\nmod tests {\n    fn helper() {}\n    \
                      #[tokio::test(start_paused = true)]\n    async fn fact() {}\n}\n#[cfg(test)]\nfn after() {}\n";
        let seen: Vec<_> = functions(source).into_iter().map(|f| (f.name, f.is_test, f.for_tests)).collect();
        let expected =
            [("code", false, false), ("helper", false, true), ("fact", true, true), ("after", false, false)];
        assert_eq!(seen, expected.map(|(n, t, f)| (n.to_owned(), t, f)));
    }

    #[test]
    fn tests_inside_a_macro_are_seen() {
        let source = "proptest! {\n    /// C05: twice is once.\n    #[test]\n    fn init_is_idempotent(x in 0..5_u8) {\n    }\n}\n";
        let [fact] = functions(source).try_into().unwrap();
        assert!(fact.is_test && fact.docs == "C05: twice is once.");
    }
}
