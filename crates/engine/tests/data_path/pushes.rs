//! A push whose source takes its time.

use std::sync::Arc;
use std::time::Duration;

use peerstream_engine::snapshot::{BoxFuture, Snapshot, Source, SourceError};
use peerstream_engine::transport::memory::MemoryNetwork;
use peerstream_engine::types::{NodeId, Operation, Selector, ShardId};
use peerstream_engine::{Dataset, EngineConfig, PlanResult, StreamPlan};

use crate::pair::{DONOR, engine, shard, within};

/// Freezes its shard for ever.
#[derive(Debug)]
struct Frozen;

impl Source for Frozen {
    fn open<'a>(
        &'a self,
        _shard: &'a ShardId,
        _selector: &'a Selector,
    ) -> BoxFuture<'a, Result<Arc<dyn Snapshot>, SourceError>> {
        Box::pin(std::future::pending())
    }
}

/// A25: a push that is called off does not wait for the snapshot that it was to offer.
#[tokio::test(start_paused = true)]
async fn a_push_that_is_being_frozen_can_be_aborted() {
    within(async {
        let dataset = Dataset { source: Some(Arc::new(Frozen)), sink: None, ..Dataset::default() };
        let network = MemoryNetwork::new();
        let donor = engine(&network, "donor", DONOR, dataset, EngineConfig::default());
        let to = NodeId::new("replica").unwrap();
        let plan = donor.execute(StreamPlan::new(Operation::BulkLoad).transfer(shard(), to)).unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        plan.abort("never mind");
        let outcome = tokio::time::timeout(Duration::from_secs(1), plan).await.expect("it ends at once");
        assert_eq!(outcome.result, PlanResult::Aborted, "{outcome:?}");
    })
    .await;
}
