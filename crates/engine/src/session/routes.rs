//! Which request waits for which data stream.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use peerstream_types::FetchId;
use peerstream_wire::{Code, StreamKind};
use tokio::sync::oneshot;

use crate::io::StreamReader;

/// A data stream behind its header.
pub(crate) struct DataStream {
    pub(crate) kind: StreamKind,
    pub(crate) reader: StreamReader,
}

/// What came of a request.
pub(crate) enum Answer {
    /// Its data stream.
    Stream(DataStream),
    /// The source cannot answer it.
    Failed { code: Code, reason: String },
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stream(stream) => write!(f, "Stream({:?})", stream.kind),
            Self::Failed { code, reason, .. } => write!(f, "Failed({code}: {reason})"),
        }
    }
}

/// Requests without an answer, by id: answers are matched by id, never by order (row F-35).
#[derive(Default)]
pub(crate) struct Routes(Mutex<BTreeMap<FetchId, oneshot::Sender<Answer>>>);

impl std::fmt::Debug for Routes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Routes").field(&self.lock().len()).finish()
    }
}

impl Routes {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<FetchId, oneshot::Sender<Answer>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to wait for the answer to a request.
    pub(crate) fn expect(&self, request: FetchId) -> oneshot::Receiver<Answer> {
        let (send, receive) = oneshot::channel();
        self.lock().insert(request, send);
        receive
    }

    /// Hands an answer over; gives it back if nobody waits for it.
    pub(crate) fn answer(&self, request: FetchId, answer: Answer) -> Result<(), Answer> {
        match self.lock().remove(&request) {
            Some(waiting) => waiting.send(answer),
            None => Err(answer),
        }
    }

    /// No longer waits for a request.
    pub(crate) fn forget(&self, request: FetchId) {
        self.lock().remove(&request);
    }

    /// The session has ended: whoever waits learns of it.
    pub(crate) fn close(&self) {
        self.lock().clear();
    }
}
