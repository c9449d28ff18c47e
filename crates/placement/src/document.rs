//! The text of a placement file.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;

use peerstream_types::{DatasetName, NodeId, ShardId};
use serde::Deserialize;
use toml::Spanned;

use crate::{Holder, ShardState, StaticPlacement, StaticPlacementError};

/// Longest placement file in bytes: every shard that may be listed, with three replicas.
pub const FILE_LEN_MAX: u64 = 16 << 20;
/// Longest name of a zone in bytes.
pub const ZONE_LEN_MAX: usize = 64;

/// What is wrong with the text of a placement. Whoever wrote it is at fault; what was in force stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct DocumentError {
    /// The line, from one.
    pub line: usize,
    /// What is wrong there.
    pub reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    replication: Option<NonZeroU32>,
    #[serde(default)]
    node: Vec<Spanned<NodeTable>>,
    #[serde(default)]
    shard: Vec<Spanned<ShardTable>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeTable {
    node: Option<NodeId>,
    addr: SocketAddr,
    #[serde(default = "available")]
    state: ShardState,
    #[serde(default)]
    datasets: Vec<DatasetName>,
    zone: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShardTable {
    shard: String,
    replicas: BTreeMap<NodeId, ShardState>,
    replication: Option<NonZeroU32>,
}

fn available() -> ShardState {
    ShardState::Available
}

/// Reads the text of a placement file; the crate's README has its format.
///
/// # Errors
///
/// [`DocumentError`] names the first line that is wrong. A text without a node is refused, because that
/// is what a file looks like that is just being written.
pub fn parse(text: &str) -> Result<StaticPlacement, DocumentError> {
    let document: Document = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        DocumentError { line, reason: error.message().trim().replace('\n', " ") }
    })?;
    if document.node.is_empty() {
        return Err(DocumentError { line: 1, reason: "there is no [[node]]".to_owned() });
    }
    let mut placement = nodes(text, document.node)?.replicated(document.replication);
    for table in document.shard {
        let line = line_of(text, table.span().start);
        let at = |reason: String| DocumentError { line, reason };
        let ShardTable { shard, replicas, replication } = table.into_inner();
        let shard: ShardId = shard.parse().map_err(|error| at(format!("{error}")))?;
        placement.place(shard, replicas, replication).map_err(|error| at(error.to_string()))?;
    }
    Ok(placement)
}

fn nodes(text: &str, tables: Vec<Spanned<NodeTable>>) -> Result<StaticPlacement, DocumentError> {
    let (mut holders, mut lines) = (Vec::with_capacity(tables.len()), Vec::with_capacity(tables.len()));
    for table in tables {
        let line = line_of(text, table.span().start);
        let NodeTable { node, addr, state, datasets, zone } = table.into_inner();
        if zone.as_ref().is_some_and(|zone| zone.is_empty() || zone.len() > ZONE_LEN_MAX) {
            let reason = format!("a zone has 1 to {ZONE_LEN_MAX} bytes");
            return Err(DocumentError { line, reason });
        }
        lines.push((line, node.clone()));
        holders.push(Holder { node, addr, state, datasets, zone });
    }
    StaticPlacement::new(holders).map_err(|error| {
        let twice = |(_, node): &&(usize, Option<NodeId>)| match &error {
            StaticPlacementError::Twice(twice) => node.as_ref() == Some(twice),
            StaticPlacementError::TooMany(_)
            | StaticPlacementError::ShardTwice(_)
            | StaticPlacementError::TooManyShards
            | StaticPlacementError::TooManyReplicas { .. }
            | StaticPlacementError::UnknownNode { .. } => true,
        };
        let blamed = lines.iter().rfind(twice);
        DocumentError { line: blamed.map_or(1, |(line, _)| *line), reason: error.to_string() }
    })
}

fn line_of(text: &str, at: usize) -> usize {
    text.get(..at).unwrap_or(text).matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Placement;
    use crate::fixed::HOLDERS_MAX;

    const TEXT: &str = r#"
replication = 3

[[node]]
node = "store-1"
addr = "10.0.0.1:7400"
zone = "a"

[[node]]
addr = "10.0.0.2:7400"
datasets = ["metrics"]
state = "leaving"

[[shard]]
shard = "logs@2/7"
replicas = { store-1 = "initializing" }
replication = 2
"#;

    fn shard(text: &str) -> ShardId {
        text.parse().unwrap()
    }

    fn refused(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_file_says_nodes_and_the_replicas_of_single_shards() {
        let placement = parse(TEXT).unwrap();
        let holders = placement.holders(&shard("metrics@1/0"));
        assert_eq!(holders[0].zone.as_deref(), Some("a"));
        assert_eq!((&holders[1].node, holders[1].state), (&None, ShardState::Leaving));
        assert_eq!(placement.holders(&shard("logs@1/0")).len(), 1, "the other has metrics only");
        let placed = placement.holders(&shard("logs@2/7"));
        assert_eq!((placed.len(), placed[0].state), (1, ShardState::Initializing));
        assert_eq!(placement.replication(&shard("logs@2/7")), Some(2));
        assert_eq!(placement.replication(&shard("logs@2/8")), Some(3));
    }

    /// F-21: a state that is not known is an error, not a guess.
    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let cases = [
            (TEXT.replace("leaving", "gone"), "line 12: unknown variant `gone`"),
            (TEXT.replace("leaving", "unknown"), "line 12: unknown variant `unknown`"),
            (TEXT.replace("zone = \"a\"", "zones = \"a\""), "line 7: unknown field `zones`"),
            (TEXT.replace("10.0.0.1:7400", "10.0.0.1"), "line 6: invalid socket address"),
            (TEXT.replace("addr = \"10.0.0.2:7400\"\n", ""), "line 9: missing field `addr`"),
            (TEXT.replace("replication = 3", "replication = 0"), "line 2: invalid value"),
            (TEXT.replace("zone = \"a\"", "zone = \"\""), "line 4: a zone has 1 to 64 bytes"),
            (TEXT.replace("{ store-1", "{ store-3"), "line 14: shard logs@2/7 has a replica at store-3"),
            (TEXT.replace("logs@2/7", "logs"), "line 14: \"logs\" is not a shard id"),
            (TEXT.replace("[[shard]]", "[[shard]"), "line 14: "),
            (
                format!("{TEXT}\n[[node]]\nnode = \"store-1\"\naddr = \"[::1]:1\"\n"),
                "line 19: node store-1 is listed twice",
            ),
            (String::new(), "line 1: there is no [[node]]"),
        ];
        for (text, expected) in cases {
            let said = refused(&text);
            assert!(said.starts_with(expected), "{said}, not {expected}");
        }
    }

    #[test]
    fn what_is_too_much_is_refused() {
        let many = "[[node]]\naddr = \"10.0.0.1:1\"\n".repeat(HOLDERS_MAX + 1);
        assert!(refused(&many).ends_with("1025 nodes are listed, at most 1024 are allowed"));
    }
}
