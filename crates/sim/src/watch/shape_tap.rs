//! A shaper that counts what it lets pass.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use peerstream_shape::{Charge, Class, Direction, Shaper};
use peerstream_types::NodeId;

use super::books::SharedBooks;

/// Counts bulk bytes when they may pass, not when they ask.
#[derive(Debug)]
pub(super) struct TapShaper {
    pub(super) inner: Arc<dyn Shaper>,
    pub(super) node: NodeId,
    pub(super) books: SharedBooks,
}

fn count(books: &SharedBooks, node: &NodeId, way: (Direction, Option<NodeId>), bytes: u64) {
    *books.lock().node(node).charged.entry(way).or_default() += bytes;
}

impl Shaper for TapShaper {
    fn charge(&self, charge: &Charge<'_>) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        let bytes = if charge.class == Class::Control { 0 } else { charge.bytes };
        let way = (charge.direction, charge.peer.cloned());
        let Some(wait) = self.inner.charge(charge) else {
            count(&self.books, &self.node, way, bytes);
            return None;
        };
        let (books, node) = (self.books.clone(), self.node.clone());
        Some(Box::pin(async move {
            wait.await;
            count(&books, &node, way, bytes);
        }))
    }
}
