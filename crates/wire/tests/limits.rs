//! `docs/protocol.md` says what the code does: limits, kinds, messages, codes, states and rule numbers agree.
#![expect(clippy::unwrap_used, reason = "all of this file is test code")]

#[path = "common/pinned.rs"]
mod pinned;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use peerstream_types::{chunk, entry, manifest, name, page, position};
use peerstream_wire::{Code, Framed, Message, StreamKind, limits};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn document() -> String {
    std::fs::read_to_string(root().join("docs/protocol.md")).unwrap()
}

/// The rows of the table between the marks of `name`, cell by cell, without its head.
fn table(name: &str) -> Vec<Vec<String>> {
    let text = document();
    let (_, rest) = text.split_once(&format!("<!-- {name}:begin -->\n")).expect(name);
    let (table, _) = rest.split_once(&format!("<!-- {name}:end -->")).expect(name);
    let cells = |row: &str| {
        let row = row.strip_prefix("| ").unwrap().strip_suffix(" |").unwrap();
        row.split(" | ").map(|cell| cell.trim().to_owned()).collect::<Vec<_>>()
    };
    let rows: Vec<_> = table.lines().skip(2).map(cells).collect();
    assert!(!rows.is_empty(), "the table of {name} is empty");
    rows
}

/// Name and value of each row, with a unit and a reason behind them.
fn limits_of(table_name: &str) -> Vec<(String, u64)> {
    let read = |row: Vec<String>| {
        assert!(row.len() == 4 && !row[2].is_empty() && !row[3].is_empty(), "{row:?}");
        (row[0].clone(), row[1].parse().unwrap())
    };
    table(table_name).into_iter().map(read).collect()
}

/// P-12: the document shows the limits of messages, all of them, in the order of the code.
#[test]
fn the_table_of_limits_agrees() {
    assert_eq!(limits_of("limits"), limits::TABLE.map(|(name, value)| (name.to_owned(), value)));
}

/// P-12: a limit that is added to the source is added to the table.
#[test]
fn every_limit_of_the_source_is_in_the_table() {
    let source = include_str!("../src/limits.rs");
    let declared = source.lines().filter_map(|line| line.strip_prefix("pub const ")?.split_once(": "));
    let declared: BTreeSet<&str> = declared.map(|(name, _)| name).filter(|name| *name != "TABLE").collect();
    assert_eq!(declared, limits::TABLE.iter().map(|(name, _)| *name).collect());
}

/// P-12: so it does for the limits of values.
#[test]
fn the_table_of_value_limits_agrees() {
    let values = [
        ("NAME_LEN_MAX", name::NAME_LEN_MAX),
        ("KEY_LEN_MAX", entry::KEY_LEN_MAX),
        ("COMPONENT_LEN_MAX", entry::COMPONENT_LEN_MAX),
        ("METADATA_LEN_MAX", entry::METADATA_LEN_MAX),
        ("TOKEN_LEN_MAX", page::TOKEN_LEN_MAX),
        ("POSITION_PART_LEN_MAX", position::POSITION_PART_LEN_MAX),
        ("STATE_LEN_MAX", manifest::STATE_LEN_MAX),
        ("GROUP_CHUNKS", chunk::GROUP_CHUNKS as usize),
        ("GROUPS_MAX", chunk::GROUPS_MAX as usize),
    ];
    assert_eq!(limits_of("value-limits"), values.map(|(name, value)| (name.to_owned(), value as u64)));
}

/// P-45: one request is enough for a top, and for the outline of a group.
#[test]
fn a_part_of_an_outline_fits_a_request() {
    const { assert!(chunk::GROUPS_MAX <= limits::OUTLINE_VALUES_MAX) };
    const { assert!(chunk::GROUP_CHUNKS <= limits::OUTLINE_VALUES_MAX) };
}

/// P-03
#[test]
fn the_table_of_stream_kinds_agrees() {
    let shown: Vec<_> = table("kinds").into_iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    assert_eq!(shown, StreamKind::ALL.map(|kind| (kind.byte().to_string(), format!("{kind:?}"))));
}

/// P-21, F-53
#[test]
fn the_table_of_codes_agrees() {
    let again = |code: Code| if code.is_transient() { "yes" } else { "no" };
    let row = |code: Code| {
        let (number, http) = (code.number().to_string(), code.http_like().to_string());
        [format!("{code:?}"), number, http, again(code).to_owned()].to_vec()
    };
    let shown: Vec<_> = table("codes").into_iter().map(|row| row[..4].to_vec()).collect();
    assert_eq!(shown, Code::ALL.map(row));
}

/// P-08, P-16: tag, name and cap of every message, as the golden bytes have them.
#[test]
fn the_table_of_messages_agrees() {
    let mut messages = BTreeMap::new();
    for (_, bytes) in pinned::load() {
        let Some(body) = bytes.get(4..) else { continue };
        if let Ok(message) = peerstream_wire::frame::decode::<Message>(body) {
            messages.insert(body[0], (message.name().to_owned(), Message::frame_max(body[0])));
        }
    }
    let read = |row: Vec<String>| (row[0].parse().unwrap(), (row[1].clone(), row[4].parse().unwrap()));
    assert_eq!(table("messages").into_iter().map(read).collect::<BTreeMap<u8, _>>(), messages);
}

/// The numbers in `text` that follow `P-` and have two digits.
fn rules(text: &str) -> Vec<u32> {
    let number = |rest: &str| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        (digits.len() == 2).then(|| digits.parse().unwrap())
    };
    text.split("P-").skip(1).filter_map(number).collect()
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for path in std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()) {
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Rules are numbered without gaps, and code cites none that is not there.
#[test]
fn every_cited_rule_exists() {
    let text = document();
    let stated: Vec<u32> =
        text.lines().filter(|line| line.starts_with("- **P-")).map(|line| rules(line)[0]).collect();
    assert_eq!(stated, (1..=stated.len() as u32).collect::<Vec<_>>());
    let mut files = Vec::new();
    sources(&root().join("crates"), &mut files);
    for file in files {
        let cited = rules(&std::fs::read_to_string(&file).unwrap());
        let unknown: Vec<_> = cited.iter().filter(|rule| !stated.contains(rule)).collect();
        assert!(unknown.is_empty(), "{} cites rules {unknown:?}", file.display());
    }
}

/// P-25: the diagram is the one that the session crate draws from its table and keeps for review.
#[test]
fn the_state_diagram_agrees() {
    let drawn = root().join("crates/session/tests/snapshots/diagram.mmd");
    let drawn = std::fs::read_to_string(drawn).unwrap();
    let shown = format!("<!-- states:begin -->\n```mermaid\n{drawn}```\n<!-- states:end -->\n");
    assert!(document().contains(&shown), "the states in docs/protocol.md are not:\n{drawn}");
}
