//! A store of its own is served, and another node is brought up from it over the in-memory transport.
//!
//! The store is a list of tables (`tables.rs`); its author implements `Source`, puts a node together
//! (`node.rs`), and names one crate.

mod node;
mod tables;

use std::error::Error;
use std::sync::Arc;

use peerstream_engine::snapshot::MemoryStore;
use peerstream_engine::transport::memory::MemoryNetwork;
use peerstream_engine::types::{Operation, ShardId};
use peerstream_engine::{Dataset, StreamPlan};

use node::start;
use tables::Tables;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let shard: ShardId = "orders@1/0".parse()?;
    let rows: Vec<u8> = (0..600 * 1024).map(|i| (i % 251) as u8).collect(); // three chunks
    let tables = Tables::new(vec![("2024", "a few rows".into()), ("2025", rows.into())]);
    let copy = MemoryStore::new();
    let network = MemoryNetwork::new();
    let donor = Dataset { source: Some(Arc::new(tables.clone())), sink: None, ..Dataset::default() };
    let _donor = start(&network, "donor", 1, donor)?;
    let replica =
        start(&network, "replica", 2, Dataset { source: None, sink: Some(Arc::new(copy.clone())), ..Dataset::default() })?;

    let outcome = replica.execute(StreamPlan::new(Operation::Bootstrap).request(shard.clone()))?.await;
    assert!(outcome.is_completed(), "{outcome:?}");
    let published = copy.published(&shard).ok_or("nothing was published")?;
    assert_eq!(published.entries, tables.contents());
    println!("generation {} has {} tables", published.generation, published.entries.len());
    Ok(())
}
