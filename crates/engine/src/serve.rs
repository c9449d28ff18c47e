//! Answering the requests of a peer: inventories, outlines, content.

mod inventory;
mod outline;
mod packer;
mod plan;
mod records;
mod stream;
mod tree;

use std::sync::Arc;

use peerstream_select::KeyRange;
use peerstream_shape::Class;
use peerstream_snapshot::SourceError;
use peerstream_transport::PeerIdentity;
use peerstream_transport::access::Verb;
use peerstream_types::{ChunkRange, FetchId, OfferId, Ordinal, PageToken, ShardId, Span};
use peerstream_wire::Code;
use tracing::debug;

use crate::io::IoError;
use crate::peers::ReachError;
use crate::session::{Command, Leases, SessionHandle};
use crate::shared::Shared;

pub(crate) use tree::{Tree, Trees};

/// A request of the peer.
#[derive(Debug, Clone)]
pub(crate) enum Asked {
    List { token: PageToken, pages: u32 },
    Tree { level: Option<u8>, range: KeyRange },
    Run { first: Ordinal, count: u32 },
    Outline { ordinal: Ordinal, level: u8, range: ChunkRange },
    Fetch { spans: Vec<Span> },
}

/// Everything that answering needs.
pub(crate) struct Serve {
    pub(crate) shared: Arc<Shared>,
    pub(crate) session: SessionHandle,
    pub(crate) peer: PeerIdentity,
    pub(crate) class: Class,
    pub(crate) leases: Arc<Leases>,
    pub(crate) request: FetchId,
    pub(crate) offer: OfferId,
}

/// Why a request was not answered.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error("no rule allows it")]
    Denied(#[from] peerstream_transport::access::Denied),
    #[error("offer {0} is not held any more")]
    Released(OfferId),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("no way to the peer: {0}")]
    Reach(#[from] ReachError),
    #[error("the stream broke: {0}")]
    Stream(#[from] IoError),
    #[error("the peer took nothing for {0:?}")]
    Slow(std::time::Duration),
    #[error("{0}")]
    TooLarge(&'static str),
    #[error("what is offered is not sealed yet")]
    Unsealed,
    #[error("there is no digest tree of what is offered: it is too large or out of order")]
    NoTree,
    #[error("it asks for more than {0} bytes at once")]
    Greedy(u64),
}

impl ServeError {
    fn code(&self) -> Code {
        match self {
            Self::Denied(_) => Code::Denied,
            Self::Released(_) => Code::NotFound,
            Self::Source(error) => code_of(error),
            Self::Greedy(_) => Code::BadRequest,
            Self::Unsealed => Code::NotReady,
            Self::NoTree => Code::Unsupported,
            Self::Slow(_) => Code::TimedOut,
            Self::Reach(_) | Self::Stream(_) | Self::TooLarge(_) => Code::Internal,
        }
    }
}

/// The code under which a source's error travels.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a new error of a source is internal until it gets a code"
)]
pub(crate) fn code_of(error: &SourceError) -> Code {
    match error {
        SourceError::NoSuchShard(_) => Code::NotFound,
        SourceError::NotReady { .. } => Code::NotReady,
        SourceError::UnsupportedSelector(_) => Code::Unsupported,
        SourceError::NoSuchEntry(_) | SourceError::BadRange(_) | SourceError::BadToken => Code::BadRequest,
        SourceError::Changed { .. } => Code::Changed,
        _ => Code::Internal,
    }
}

impl Serve {
    /// Answers one request, with a data stream or with the reason why there is none.
    pub(crate) async fn run(self, asked: Asked) {
        let ready = self.ready(&asked).await;
        let slots = self.shared.serve_slots.clone();
        let Ok(_slot) = slots.acquire_owned().await else { return };
        let request = self.request;
        let command = match self.answer(asked, ready).await {
            Ok(()) => Command::Served(request),
            Err(error) => {
                debug!(session = %self.session.id, %request, %error, "a request was not answered");
                Command::CannotServe { request, code: error.code(), reason: error.to_string() }
            }
        };
        self.session.tell(command).await;
    }

    /// Waits until the first entry of an asked page is hashed, unless all are, or the tree is built, which it
    /// hands over: that takes as long as it takes, and no place from those that have something to send. What
    /// else is wrong is found again by whoever answers.
    async fn ready(&self, asked: &Asked) -> Option<Result<Tree, ServeError>> {
        let (snapshot, shard) = self.leases.get(self.offer)?;
        self.permit(&shard, Verb::List).ok()?;
        match asked {
            Asked::List { token, .. } if !snapshot.header().is_sealed() => {
                let _ = snapshot.page(token, 1).await;
                None
            }
            Asked::Tree { .. } => Some(tree::build(self, &*snapshot).await),
            Asked::List { .. } | Asked::Run { .. } | Asked::Outline { .. } | Asked::Fetch { .. } => None,
        }
    }

    async fn answer(&self, asked: Asked, ready: Option<Result<Tree, ServeError>>) -> Result<(), ServeError> {
        let (snapshot, shard) = self.leases.get(self.offer).ok_or(ServeError::Released(self.offer))?;
        match asked {
            Asked::List { token, pages } => {
                self.permit(&shard, Verb::List)?;
                inventory::serve(self, &*snapshot, token, pages).await
            }
            Asked::Tree { level, range } => {
                self.permit(&shard, Verb::List)?;
                tree::serve(self, &ready.unwrap_or(Err(ServeError::Unsealed))?, level, &range).await
            }
            Asked::Run { first, count } => {
                self.permit(&shard, Verb::List)?;
                inventory::serve_run(self, &*snapshot, first, count).await
            }
            Asked::Outline { ordinal, level, range } => {
                self.permit(&shard, Verb::Fetch)?;
                outline::serve(self, &*snapshot, ordinal, level, range).await
            }
            Asked::Fetch { spans } => {
                self.permit(&shard, Verb::Fetch)?;
                records::serve(self, &*snapshot, &spans).await
            }
        }
    }

    /// Rules are asked for every request, so that a change takes effect on the next one.
    fn permit(&self, shard: &ShardId, verb: Verb) -> Result<(), ServeError> {
        Ok(self.shared.parts.access.permits(&self.peer, &shard.dataset, verb)?)
    }
}
