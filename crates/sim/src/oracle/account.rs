//! What became of every byte that came.

use std::fmt;

use peerstream_types::ByteCount;

use crate::watch::NodeBooks;

/// Where the content that a node received went, in bytes. Their sum is what came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account {
    /// Verified and stored, for the first time.
    pub needed: u64,
    /// Verified and stored although it was held.
    pub duplicate: u64,
    /// Thrown away: it did not verify, nobody wanted it any more, or its chunk did not come to its
    /// end.
    pub wasted: u64,
    /// Came besides: headers of records, pages, outlines.
    pub overhead: u64,
}

impl Account {
    /// Of what was counted of a node.
    pub fn of(books: &NodeBooks) -> Self {
        let payload: u64 = books.received.values().map(|moved| moved.payload).sum();
        let content = books.content_received();
        Self {
            needed: books.stored.bytes - books.stored.again,
            duplicate: books.stored.again,
            wasted: content.saturating_sub(books.stored.bytes),
            overhead: payload - content,
        }
    }

    /// Everything that came.
    pub fn received(&self) -> u64 {
        self.needed + self.duplicate + self.wasted + self.overhead
    }

    /// The share of what came that had not to come, from 0 to 1.
    pub fn waste(&self) -> f64 {
        (self.duplicate + self.wasted) as f64 / self.received().max(1) as f64
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { needed, duplicate, wasted, overhead } = *self;
        let [needed, duplicate, wasted, overhead] = [needed, duplicate, wasted, overhead].map(ByteCount);
        write!(f, "{needed} needed, {duplicate} duplicate, {wasted} wasted, {overhead} overhead")?;
        write!(f, " ({:.2} % for nothing)", 100.0 * self.waste())
    }
}
