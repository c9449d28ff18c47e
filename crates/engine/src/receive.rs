//! Reading the answers of a source: pages, outlines, content. What passes here is verified.

mod answer;
mod batch;
mod buffers;
mod expected;
mod inventory;
mod names;
mod outline;
mod records;
mod tree;

pub(crate) use buffers::Buffers;
pub(crate) use expected::Expected;
pub(crate) use inventory::{CheckedPage, Listing, next_page, next_run};
pub(crate) use names::Names;
pub(crate) use outline::{VerifiedPart, Wanted, fetch_outline};
pub(crate) use records::{Fetch, FetchEvent};
pub(crate) use tree::{Offering, compare};

use peerstream_wire::{Code, Framed, StreamKind};

use crate::io::{IoError, StreamReader};
use crate::session::{Answer, Ask, Request, SessionHandle};

/// Why a request brought nothing usable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReceiveError {
    #[error("{code}: {reason}")]
    Refused { code: Code, reason: String },
    #[error("the session ended")]
    SessionEnded,
    #[error(transparent)]
    Stream(#[from] IoError),
    #[error("{0}")]
    Wrong(String),
    #[error("not asked: {0}")]
    NotAsked(String),
}

/// Waits for the data stream of a request.
async fn stream_of(request: &mut Request, kind: StreamKind) -> Result<StreamReader, ReceiveError> {
    match (&mut request.answer).await {
        Ok(Answer::Stream(stream)) if stream.kind == kind => Ok(stream.reader),
        Ok(Answer::Stream(_)) => {
            Err(ReceiveError::Wrong("the answer is a stream of another kind".to_owned()))
        }
        Ok(Answer::Failed { code, reason, .. }) => Err(ReceiveError::Refused { code, reason }),
        Err(_) => Err(ReceiveError::SessionEnded),
    }
}

/// The first frame of the stream that answers a request. Dropped before, it gives the request up.
async fn one_frame<T: Framed>(
    session: &SessionHandle,
    ask: Ask,
    kind: StreamKind,
    lacking: &str,
) -> Result<T, ReceiveError> {
    let mut request = session.ask(ask).await.map_err(ReceiveError::NotAsked)?;
    let frame = async {
        let mut reader = stream_of(&mut request, kind).await?;
        reader.frame::<T>().await?.ok_or_else(|| ReceiveError::Wrong(lacking.to_owned()))
    };
    let frame = frame.await;
    request.done().await;
    frame
}
