//! Bringing a shard of this node to a peer: offer it, serve it, learn how it went.

use std::collections::BTreeMap;
use std::sync::Arc;

use peerstream_types::{NodeId, Selector, ShardId};
use peerstream_wire::message::{OfferV1, ReleaseReason};
use tokio::sync::oneshot;
use tracing::info;

use crate::job::PlanSessions;
use crate::plan::{PlanRecord, ShardOutcome, Stage};
use crate::regards::Incident;
use crate::session::{Lease, LeaseEnd, OpeningFailed, Outgoing, offer_id};

/// A shard that goes to a peer.
pub(crate) struct Transfer {
    pub(crate) sessions: Arc<PlanSessions>,
    pub(crate) record: PlanRecord,
    /// The shard's place in the record.
    pub(crate) index: usize,
    pub(crate) shard: ShardId,
    pub(crate) selector: Selector,
    pub(crate) to: NodeId,
    /// The offer that was made together with the plan's other shards.
    pub(crate) first: Option<Result<Pending, String>>,
}

/// An offer under way.
pub(crate) struct Pending {
    refused: oneshot::Receiver<OpeningFailed>,
    released: oneshot::Receiver<LeaseEnd>,
}

/// How one offer went.
enum Went {
    Released(ReleaseReason),
    CalledOff(String),
    Refused(OpeningFailed),
    /// The session ended before the peer said how it went.
    Lost,
}

/// Makes the first offer of every transfer, by peer.
pub(crate) async fn first_offers(transfers: &mut [Transfer]) -> BTreeMap<NodeId, Vec<Outgoing>> {
    let mut offers: BTreeMap<NodeId, Vec<Outgoing>> = BTreeMap::new();
    for transfer in transfers {
        let place = offers.get(&transfer.to).map_or(0, Vec::len);
        transfer.first = Some(match transfer.offer(place).await {
            Ok((outgoing, pending)) => {
                offers.entry(transfer.to.clone()).or_default().push(outgoing);
                Ok(pending)
            }
            Err(reason) => Err(reason),
        });
    }
    offers
}

impl Transfer {
    /// Offers the shard until the peer has published it, has refused it, or was lost too often.
    pub(crate) async fn run(mut self) -> ShardOutcome {
        let outcome = self.attempts().await;
        self.record.end_shard(self.index, outcome.clone());
        outcome
    }

    async fn attempts(&mut self) -> ShardOutcome {
        let failed = |reason: String| ShardOutcome::Failed { reason };
        let config = &self.sessions.shared.config;
        let (attempts, back_off) = (config.transfer_attempts.max(1), config.recovery.back_off.first);
        for attempt in 1..=attempts {
            let pending = match self.first.take() {
                Some(first) => first,
                None => match self.unless_aborted(self.offer_alone()).await {
                    Ok(pending) => pending,
                    Err(reason) => return ShardOutcome::Aborted { reason },
                },
            };
            let pending = match pending {
                Ok(pending) => pending,
                Err(reason) => return failed(reason),
            };
            match pending.wait().await {
                Went::Released(ReleaseReason::Done) => return ShardOutcome::Published { generation: None },
                Went::Released(_) => return failed(format!("{} gave up; see its log and status", self.to)),
                Went::CalledOff(reason) => return ShardOutcome::Aborted { reason },
                Went::Refused(no) if no.permanent => {
                    return failed(format!("{} refused: {}", self.to, no.reason));
                }
                Went::Refused(no) if attempt == attempts => {
                    return failed(format!("{}: {}", self.to, no.reason));
                }
                Went::Refused(_) | Went::Lost => {}
            }
            if let Some(reason) = self.sessions.abort.get() {
                return ShardOutcome::Aborted { reason };
            }
            info!(shard = %self.shard, to = %self.to, attempt, "the session was lost, offering again");
            tokio::time::sleep(back_off).await;
        }
        failed(format!("the session with {} was lost {attempts} times", self.to))
    }

    /// Does some work unless the plan is aborted before it is done; the reason then.
    async fn unless_aborted<T>(&self, work: impl Future<Output = T>) -> Result<T, String> {
        let abort = self.sessions.abort.clone();
        tokio::select! {
            biased;
            Ok(reason) = abort.wait_for(Option::is_some) => Err(reason.unwrap_or_default()),
            done = work => Ok(done),
        }
    }

    async fn offer_alone(&self) -> Result<Pending, String> {
        let (outgoing, pending) = self.offer(0).await?;
        self.sessions.open(&self.to, Incident::default(), Vec::new(), vec![outgoing]);
        Ok(pending)
    }

    /// Opens the shard's snapshot and makes the `place`-th offer of a session.
    async fn offer(&self, place: usize) -> Result<(Outgoing, Pending), String> {
        let datasets = &self.sessions.shared.parts.datasets;
        let source = datasets.source(&self.shard.dataset);
        let source = source.ok_or_else(|| format!("dataset {} is not served here", self.shard.dataset))?;
        let snapshot = source.open(&self.shard, &self.selector).await.map_err(|error| error.to_string())?;
        let header = snapshot.header();
        self.record.update(self.index, |shard| {
            shard.stage = Stage::Opening;
            shard.peer = Some(self.to.clone());
            shard.bytes_total = header.is_sealed().then_some(header.counts.bytes);
            shard.entries_total = header.is_sealed().then_some(header.counts.entries);
        });
        let ((refused, no), (released, end)) = (oneshot::channel(), oneshot::channel());
        let shown = (self.record.clone(), self.index);
        let lease =
            Lease { snapshot, shard: self.shard.clone(), shown, released: Some(released), tree: None };
        let (shard, selector) = (self.shard.clone(), self.selector.clone());
        let offer = OfferV1 { offer: offer_id(place), shard, selector, header };
        Ok((Outgoing { offer, lease, refused }, Pending { refused: no, released: end }))
    }
}

impl Pending {
    async fn wait(self) -> Went {
        match self.released.await {
            Ok(LeaseEnd::Released(reason)) => Went::Released(reason),
            Ok(LeaseEnd::CalledOff(reason)) => Went::CalledOff(reason),
            // The lease goes before the refusal is told; an offer that was taken has none to tell.
            Err(_) => self.refused.await.map_or(Went::Lost, Went::Refused),
        }
    }
}
