//! What a session's machine reports, and what the driver does about it.

use std::time::Duration;

use peerstream_select::KeyRange;
use peerstream_session::Event;
use peerstream_types::{OfferId, Selector, ShardId};
use peerstream_wire::message::{InitAckV1, OfferV1, PeerLimits, RefusalV1, ReleaseReason, RequestV1};
use peerstream_wire::{Code, Extensions, Features, Minor};
use tokio::sync::oneshot;
use tracing::info;

use super::{Driver, LeaseEnd, Opened, OpeningFailed, SessionEnd, Wanted};
use crate::follow;
use crate::plan::{PlanRecord, ShardOutcome};
use crate::plans::PlanKey;
use crate::regards::Incident;
use crate::serve::{Asked, Serve};

/// An offer of ours, and who is told if the peer does not take it.
type Refusal = (ShardId, Selector, OfferId, oneshot::Sender<OpeningFailed>);

/// What this end still waits to tell, by role.
pub(super) enum Side {
    Idle,
    Initiator { prepare: Option<(Vec<RequestV1>, Vec<OfferV1>)>, wanted: Vec<Wanted>, refusals: Vec<Refusal> },
    Follower { record: PlanRecord, admitted: Option<Result<PlanKey, (Code, String)>>, key: Option<PlanKey> },
}

impl Driver {
    pub(super) fn event(&mut self, event: Event) {
        match event {
            Event::Init(_) => self.answer_init(),
            Event::Accepted(_) => self.prepare(),
            Event::Refused { code, reason, retry_after } => self.refused(code, &reason, retry_after),
            Event::Prepared { requests, offers } => {
                let Side::Follower { record, .. } = &self.side else { return };
                let follow = follow::Follow {
                    shared: self.shared.clone(),
                    session: self.handle.clone(),
                    peer: self.peer.clone(),
                    class: self.class,
                    leases: self.leases.clone(),
                    record: record.clone(),
                };
                self.serving.spawn(follow.prepare(requests, offers));
            }
            Event::Offered { offers, refused_requests, refused_offers } => {
                self.offered(offers, refused_requests, refused_offers);
            }
            Event::ListRequested { request, offer, token, pages } => {
                self.serve(request, offer, Asked::List { token, pages });
            }
            Event::TreeRequested { request, offer, level, start, end } => {
                self.serve(request, offer, Asked::Tree { level, range: KeyRange { start, end } });
            }
            Event::RunRequested { request, offer, first, count } => {
                self.serve(request, offer, Asked::Run { first, count });
            }
            Event::OutlineRequested { request, offer, ordinal, level, range } => {
                self.serve(request, offer, Asked::Outline { ordinal, level, range });
            }
            Event::FetchRequested { request, offer, spans, .. } => {
                self.serve(request, offer, Asked::Fetch { spans });
            }
            Event::RequestFailed { request, spans, code, reason } if spans.is_empty() => {
                // Nobody waits any more for a request that we gave up.
                let _ = self.handle.routes.answer(request, super::Answer::Failed { code, reason });
            }
            // A part that cannot be had is also missing from the stream, which the receiver sees.
            Event::RequestFailed { .. } => {}
            Event::Released { offer, reason } => self.released(offer, reason),
            Event::Ended(outcome) => self.outcome = Some(outcome.to_string()),
            Event::GoAway { .. } => info!(peer = %self.peer, "the peer is going down"),
            Event::Attached | Event::Acknowledged { .. } | Event::Throttled { .. } => {}
        }
    }

    fn answer_init(&mut self) {
        let now = self.shared.clock.now();
        let Side::Follower { admitted, key, .. } = &mut self.side else { return };
        let result = match admitted.take() {
            Some(Ok(begun)) => {
                *key = Some(begun);
                let ack = InitAckV1 {
                    minor: Minor::NEWEST,
                    features: Features::OURS,
                    incarnation: self.shared.parts.incarnation,
                    limits: PeerLimits {
                        requests: self.shared.config.session.requests_served_max,
                        bytes: self.shared.config.peer_bytes_in_flight.0,
                    },
                    extensions: Extensions::default(),
                };
                self.session.accept(now, ack)
            }
            Some(Err((code, reason))) => {
                let retry_after = (code == Code::Busy).then_some(Duration::from_secs(5));
                self.session.refuse(now, code, &reason, retry_after)
            }
            None => return,
        };
        self.or_abort(result);
    }

    /// The follower took the session: say what is wanted and offered.
    fn prepare(&mut self) {
        let Side::Initiator { prepare, .. } = &mut self.side else { return };
        let Some((requests, offers)) = prepare.take() else { return };
        let prepared = self.session.prepare(self.shared.clock.now(), requests, offers);
        self.or_abort(prepared);
    }

    fn refused(&mut self, code: Code, reason: &str, retry_after: Option<Duration>) {
        let failed = OpeningFailed {
            reason: format!("{code}: {reason}"),
            retry_after,
            permanent: !code.is_transient(),
            refused: true,
            incident: Some(self.handle.incident.clone()),
        };
        self.fail_openings(&failed);
    }

    fn fail_openings(&mut self, failed: &OpeningFailed) {
        let Side::Initiator { wanted, refusals, .. } = &mut self.side else { return };
        wanted.drain(..).for_each(|wanted| drop(wanted.reply.send(Err(failed.clone()))));
        for (.., offer, told) in refusals.drain(..) {
            self.leases.release(offer);
            drop(told.send(failed.clone()));
        }
    }

    /// The peer has answered Prepare: each request gets its offer or the reason why there is none.
    fn offered(&mut self, offers: Vec<OfferV1>, no_requests: Vec<RefusalV1>, no_offers: Vec<RefusalV1>) {
        let Side::Initiator { wanted, refusals, .. } = &mut self.side else { return };
        for Wanted { request, reply } in wanted.drain(..) {
            let incident = self.handle.incident.clone();
            let is_it = |shard: &ShardId, selector: &Selector| {
                *shard == request.shard && *selector == request.selector
            };
            let offer = offers.iter().find(|offer| is_it(&offer.shard, &offer.selector));
            let no = no_requests.iter().find(|no| is_it(&no.shard, &no.selector));
            let opening = match (offer, no) {
                (Some(offer), _) => Ok(Opened::new(self.handle.clone(), offer.clone())),
                (None, Some(no)) => Err(from_refusal(no, incident)),
                (None, None) => {
                    Err(OpeningFailed::lost("the peer did not answer the request", Some(incident)))
                }
            };
            // A job that has ended meanwhile drops the offer, which releases it.
            drop(reply.send(opening));
        }
        for (shard, selector, offer, told) in refusals.drain(..) {
            if let Some(no) = no_offers.iter().find(|no| no.shard == shard && no.selector == selector) {
                self.leases.release(offer);
                drop(told.send(from_refusal(no, self.handle.incident.clone())));
            }
        }
    }

    fn serve(&mut self, request: peerstream_types::FetchId, offer: OfferId, asked: Asked) {
        let serve = Serve {
            shared: self.shared.clone(),
            session: self.handle.clone(),
            peer: self.peer.clone(),
            class: self.class,
            leases: self.leases.clone(),
            request,
            offer,
        };
        self.serving.spawn(serve.run(asked));
    }

    fn released(&mut self, offer: OfferId, reason: ReleaseReason) {
        if let Side::Initiator { refusals, .. } = &self.side
            && refusals.iter().any(|(.., refused, _)| *refused == offer)
        {
            // Refused, not released: the reason comes with the answer to Prepare.
            return;
        }
        let Some(lease) = self.leases.release(offer) else { return };
        let (record, index) = lease.shown;
        match lease.released {
            Some(told) => drop(told.send(LeaseEnd::Released(reason))),
            None => record.end_shard(index, served_outcome(reason)),
        }
    }

    /// The session has ended: whoever still waits for something of it is told.
    pub(super) fn finish_side(&mut self, end: &SessionEnd) {
        let SessionEnd { called_off, reason } = end;
        self.fail_openings(&OpeningFailed::lost(reason, Some(self.handle.incident.clone())));
        for lease in self.leases.drain() {
            let (record, index) = lease.shown;
            let reason = reason.clone();
            match (lease.released, called_off) {
                (Some(told), true) => drop(told.send(LeaseEnd::CalledOff(reason))),
                (Some(_), false) => {}
                (None, true) => record.end_shard(index, ShardOutcome::Aborted { reason }),
                (None, false) => record.end_shard(index, ShardOutcome::Failed { reason }),
            }
        }
        let Side::Follower { record, key: Some(key), .. } = &self.side else { return };
        info!(%reason, "a peer's session ended");
        // Jobs of pushed shards may outlive the session by a moment: the last to end ends the plan.
        record.end_with_shards();
        self.shared.plans.end(*key);
        self.shared.parts.levels.forget(record.plan);
    }
}

fn from_refusal(no: &RefusalV1, incident: Incident) -> OpeningFailed {
    OpeningFailed {
        reason: format!("{}: {}", no.code, no.reason),
        retry_after: None,
        permanent: !no.code.is_transient(),
        refused: true,
        incident: Some(incident),
    }
}

/// How a shard ended that a peer took from here on its own account.
fn served_outcome(reason: ReleaseReason) -> ShardOutcome {
    match reason {
        ReleaseReason::Done => ShardOutcome::Published { generation: None },
        ReleaseReason::Elsewhere => {
            ShardOutcome::Aborted { reason: "the peer took it from elsewhere".to_owned() }
        }
        ReleaseReason::GivenUp => ShardOutcome::Failed { reason: "the peer gave up".to_owned() },
    }
}
