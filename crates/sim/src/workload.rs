//! What goes on at nodes beside recovery: shards get content, and writers move it on.

mod fill;
mod history;
mod writer;

pub use history::History;
pub use writer::Writer;
