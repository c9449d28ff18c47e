//! Answering a peer's Prepare: open what it requests, take what it offers.

use std::sync::Arc;

use peerstream_shape::Class;
use peerstream_transport::PeerIdentity;
use peerstream_transport::access::Verb;
use peerstream_types::{Selector, ShardId};
use peerstream_wire::message::{OfferV1, RefusalV1, RequestV1};
use peerstream_wire::{Code, Text};
use tokio::sync::Semaphore;
use tracing::{info, warn};

use crate::discover::Whom;
use crate::job::{Origin, ShardJob};
use crate::plan::{PlanRecord, ShardProgress, TaskDirection};
use crate::serve::code_of;
use crate::session::{Command, Lease, Leases, Opened, SessionHandle, offer_id};
use crate::shared::Shared;

/// Everything that answering a Prepare needs.
pub(crate) struct Follow {
    pub(crate) shared: Arc<Shared>,
    pub(crate) session: SessionHandle,
    pub(crate) peer: PeerIdentity,
    pub(crate) class: Class,
    pub(crate) leases: Arc<Leases>,
    pub(crate) record: PlanRecord,
}

type No = (Code, String);

impl Follow {
    /// Opens snapshots for the requests, checks the offers, answers, and starts the jobs that pull
    /// what was taken.
    pub(crate) async fn prepare(self, requests: Vec<RequestV1>, offers: Vec<OfferV1>) {
        let mut ours = Vec::new();
        let mut refused_requests = Vec::new();
        for request in requests {
            match self.open(&request, ours.len()).await {
                Ok(offer) => ours.push(offer),
                Err(no) => refused_requests.push(self.refusal(request.shard, request.selector, no)),
            }
        }
        let mut taken = Vec::new();
        let mut refused_offers = Vec::new();
        for offer in offers {
            match self.check_offer(&offer) {
                Ok(()) => taken.push(offer),
                Err(no) => refused_offers.push(self.refusal(offer.shard, offer.selector, no)),
            }
        }
        self.session.tell(Command::Answer { offers: ours, refused_requests, refused_offers }).await;
        let room = Arc::new(Semaphore::new(self.shared.config.shards_in_parallel.max(1)));
        taken.into_iter().for_each(|offer| self.pull(offer, &room));
    }

    async fn open(&self, request: &RequestV1, place: usize) -> Result<OfferV1, No> {
        let RequestV1 { shard, selector } = request;
        self.permit(shard, Verb::Fetch)?;
        let source = self.shared.parts.datasets.source(&shard.dataset);
        let source = source
            .ok_or_else(|| (Code::NotFound, format!("dataset {} is not served here", shard.dataset)))?;
        let snapshot =
            source.open(shard, selector).await.map_err(|error| (code_of(&error), error.to_string()))?;
        let header = snapshot.header();
        let mut progress = ShardProgress::new(shard.clone(), TaskDirection::Send);
        progress.peer = Some(self.peer.node.clone());
        progress.bytes_total = header.is_sealed().then_some(header.counts.bytes);
        progress.entries_total = header.is_sealed().then_some(header.counts.entries);
        let index = self.record.add_shard(progress);
        let offer = offer_id(place);
        let lease = Lease {
            snapshot,
            shard: shard.clone(),
            shown: (self.record.clone(), index),
            released: None,
            tree: None,
        };
        self.leases.insert(offer, lease);
        info!(%shard, peer = %self.peer, bytes = header.counts.bytes, "serving a shard");
        Ok(OfferV1 { offer, shard: shard.clone(), selector: selector.clone(), header })
    }

    fn check_offer(&self, offer: &OfferV1) -> Result<(), No> {
        self.permit(&offer.shard, Verb::Offer)?;
        match self.shared.parts.datasets.sink(&offer.shard.dataset) {
            Some(_) => Ok(()),
            None => Err((Code::Unsupported, format!("dataset {} is not received here", offer.shard.dataset))),
        }
    }

    fn permit(&self, shard: &ShardId, verb: Verb) -> Result<(), No> {
        let permitted = self.shared.parts.access.permits(&self.peer, &shard.dataset, verb);
        permitted.map_err(|denied| {
            warn!(%denied, "a request was denied");
            (Code::Denied, denied.to_string())
        })
    }

    fn refusal(&self, shard: ShardId, selector: Selector, (code, reason): No) -> RefusalV1 {
        info!(%shard, peer = %self.peer, %code, %reason, "a shard was refused");
        RefusalV1 { shard, selector, code, reason: Text::cut(&reason) }
    }

    /// Starts the job that brings an offered shard here, as soon as there is room for it.
    fn pull(&self, offer: OfferV1, room: &Arc<Semaphore>) {
        let Some(sink) = self.shared.parts.datasets.sink(&offer.shard.dataset) else { return };
        let index = self.record.add_shard(ShardProgress::new(offer.shard.clone(), TaskDirection::Receive));
        let (shard, selector) = (offer.shard.clone(), offer.selector.clone());
        let opened = Opened::new(self.session.clone(), offer);
        let origin = Origin::Offered(Box::new(opened));
        let whom = Whom::only(&self.shared, &shard, self.peer.node.clone());
        let job = ShardJob {
            shared: self.shared.clone(),
            record: self.record.clone(),
            index,
            shard,
            selector,
            class: self.class,
            sink,
            origin,
            whom,
            abort: self.session.abort_watch(),
        };
        let (room, receiving) = (room.clone(), self.shared.buffers.receiving());
        tokio::spawn(async move {
            let _receiving = receiving;
            let _place = room.acquire_owned().await;
            job.run().await
        });
    }
}
