//! Where a job's sources come from: sessions that its plan opens, or the one that a peer opened.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use peerstream_types::{NodeId, Operation, PlanId, Selector, ShardId};
use peerstream_wire::message::RequestV1;
use tokio::sync::oneshot;

use crate::regards::Incident;
use crate::session::{Opened, Opening, OpeningFailed, Outgoing, Route, Wanted, initiate};
use crate::shared::Shared;
use crate::watch;

/// Where a job's sources come from.
#[derive(Debug)]
pub(crate) enum Origin {
    /// A peer offered the shard in its own session; there is no other source.
    Offered(Box<Opened>),
    /// A plan of this node: the first source may have been asked already, together with the plan's
    /// other shards; every further one gets a session of its own.
    Plan { sessions: Arc<PlanSessions>, first: Option<(NodeId, Asked)> },
    /// The offer was used up, and why there is no other.
    Spent(String),
}

/// An offer that was asked for.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) answer: oneshot::Receiver<Opening>,
    /// The session that is to bring it.
    pub(crate) incident: Incident,
}

/// Opens the sessions of one plan.
#[derive(Debug)]
pub(crate) struct PlanSessions {
    pub(crate) shared: Arc<Shared>,
    pub(crate) plan: PlanId,
    pub(crate) operation: Operation,
    pub(crate) abort: watch::Receiver<Option<String>>,
    next_index: Mutex<BTreeMap<NodeId, u32>>,
}

impl PlanSessions {
    pub(crate) fn new(
        shared: Arc<Shared>,
        plan: PlanId,
        operation: Operation,
        abort: watch::Receiver<Option<String>>,
    ) -> Self {
        Self { shared, plan, operation, abort, next_index: Mutex::default() }
    }

    /// Opens another session with a peer, in a task of its own.
    pub(crate) fn open(
        &self,
        peer: &NodeId,
        incident: Incident,
        wanted: Vec<Wanted>,
        outgoing: Vec<Outgoing>,
    ) {
        let index = {
            let mut next = self.next_index.lock().unwrap_or_else(PoisonError::into_inner);
            let next = next.entry(peer.clone()).or_default();
            let index = *next;
            *next += 1;
            index
        };
        let (plan, operation, abort) = (self.plan, self.operation, self.abort.clone());
        let route = Route { plan, operation, peer: peer.clone(), index, abort, incident };
        tokio::spawn(initiate(self.shared.clone(), route, wanted, outgoing));
    }

    fn ask(&self, peer: &NodeId, shard: &ShardId, selector: &Selector) -> Asked {
        let (reply, answer) = oneshot::channel();
        let request = RequestV1 { shard: shard.clone(), selector: selector.clone() };
        let incident = Incident::default();
        self.open(peer, incident.clone(), vec![Wanted { request, reply }], Vec::new());
        Asked { answer, incident }
    }
}

impl Origin {
    /// Whether a peer offered the shard, so that only the peer has a say in it.
    pub(super) fn is_offered(&self) -> bool {
        matches!(self, Self::Offered(_) | Self::Spent(_))
    }

    /// The session that carries the offer has ended: there will be no other offer.
    pub(super) fn lost(&mut self, reason: &str) {
        if self.is_offered() {
            *self = Self::Spent(format!("the session that offered the shard has ended: {reason}"));
        }
    }

    /// Begins to open a source at `peer`.
    pub(super) fn open(&mut self, peer: &NodeId, shard: &ShardId, selector: &Selector) -> Asked {
        let spent = Self::Spent("the peer offered the shard only once".to_owned());
        match std::mem::replace(self, spent) {
            Self::Plan { sessions, first } => {
                let asked = match first {
                    Some((at, asked)) if at == *peer => asked,
                    _ => sessions.ask(peer, shard, selector),
                };
                *self = Self::Plan { sessions, first: None };
                asked
            }
            Self::Offered(opened) => answered(Ok(*opened)),
            Self::Spent(why) => {
                let reason = why.clone();
                *self = Self::Spent(why);
                let (retry_after, permanent, refused, incident) = (None, true, true, None);
                answered(Err(OpeningFailed { reason, retry_after, permanent, refused, incident }))
            }
        }
    }
}

fn answered(opening: Opening) -> Asked {
    let (reply, answer) = oneshot::channel();
    let _ = reply.send(opening);
    Asked { answer, incident: Incident::default() }
}
