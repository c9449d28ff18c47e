//! What goes on at nodes beside recovery: shards get content, and writers move it on.

mod blocks;
mod fill;
mod history;
mod writer;

pub use blocks::BlockHistory;
pub(crate) use blocks::{Demands, spoiled_key};
pub use history::History;
pub use writer::Writer;
