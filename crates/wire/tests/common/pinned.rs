//! Reads the golden file: one `name hex` a line, `#` begins a comment.

use std::collections::BTreeMap;
use std::path::PathBuf;

pub(crate) fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden.txt")
}

/// Every pinned encoding by its name.
pub(crate) fn load() -> BTreeMap<String, Vec<u8>> {
    let text = std::fs::read_to_string(path()).unwrap();
    let mut pinned = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, hex) = line.split_once(' ').unwrap_or_else(|| panic!("no hex in {line:?}"));
        assert!(pinned.insert(name.to_owned(), unhex(hex)).is_none(), "{name} is there twice");
    }
    pinned
}

fn unhex(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2) && hex.is_ascii(), "bad hex {hex:?}");
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}
