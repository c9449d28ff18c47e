//! Where the inventory of a source differs from another source's, by their digest trees.

use std::sync::Arc;
use std::time::Duration;

use peerstream_select::{Comparison, KeyRange, NodesRequest, Part, TreeNode};
use peerstream_types::OfferId;
use peerstream_wire::message::OfferV1;
use peerstream_wire::tree::{TreeNodeV1, TreeNodesV1};
use peerstream_wire::{StreamKind, TreeNodes};
use tokio::time::{Instant, timeout_at};

use super::{ReceiveError, one_frame};
use crate::session::{Ask, SessionHandle};

/// Most questions to each of the two. What is not known by then to be equal is listed: two replicas
/// that differ in every leaf are better listed than compared.
const QUESTIONS_MAX: usize = 256;
/// How long a comparison may take, much less than a page may: the first who asks for a tree has it built,
/// which is one reading of the inventory.
const TIME_MAX: Duration = Duration::from_secs(60);

/// A source with what it offers.
#[derive(Debug, Clone)]
pub(crate) struct Offering {
    pub(crate) session: SessionHandle,
    pub(crate) offer: Arc<OfferV1>,
}

/// The parts of what `source` lists, each equal to what the other one has between the same keys, or
/// not known to be. Nobody has proved anything: what is taken for equal has to fit the manifest.
pub(crate) async fn compare(source: Offering, other: Offering) -> Result<Vec<Part>, ReceiveError> {
    let wrong = |why: &dyn std::fmt::Display| ReceiveError::Wrong(why.to_string());
    let until = Instant::now() + TIME_MAX;
    let root = nodes(&source, None, &KeyRange::default(), until).await?;
    let is_empty = root.nodes.as_ref().is_some_and(|nodes| nodes.is_empty());
    let levels = if is_empty { 0 } else { usize::from(root.level) + 1 };
    let comparison = Comparison::new(levels, source.offer.header.counts.entries);
    let mut comparison = comparison.map_err(|fault| wrong(&fault))?;
    for _ in 0..QUESTIONS_MAX {
        let Some(NodesRequest { level, range }) = comparison.poll_request() else { break };
        let level = u8::try_from(level).map_err(|_| wrong(&"a tree too high"))?;
        let (own, others) = tokio::join!(
            nodes(&source, Some(level), &range, until),
            nodes(&other, Some(level), &range, until)
        );
        let own = own?.nodes.ok_or_else(|| wrong(&"its tree has too many nodes in one"))?;
        let others = others?.nodes.unwrap_or_default();
        let own: Vec<TreeNode> = own.into_iter().map(node_of).collect();
        let others: Vec<TreeNode> = others.into_iter().map(node_of).collect();
        comparison.handle_nodes(&others, &own).map_err(|fault| wrong(&fault))?;
    }
    Ok(comparison.into_parts())
}

fn node_of(node: TreeNodeV1) -> TreeNode {
    let TreeNodeV1 { first, entries, mutable, digest } = node;
    TreeNode { first, entries, mutable, digest }
}

async fn nodes(
    of: &Offering,
    level: Option<u8>,
    range: &KeyRange,
    until: Instant,
) -> Result<TreeNodesV1, ReceiveError> {
    let offer: OfferId = of.offer.offer;
    let ask = Ask::Tree { offer, level, range: range.clone() };
    let late = |_| ReceiveError::NotAsked("the trees were not there in time".to_owned());
    let nodes = one_frame(&of.session, ask, StreamKind::Tree, "an answer without nodes");
    let TreeNodes::V1(nodes) = timeout_at(until, nodes).await.map_err(late)??;
    Ok(nodes)
}
