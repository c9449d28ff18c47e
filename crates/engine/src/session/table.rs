//! The sessions of this node, by id.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use peerstream_types::{FetchId, SessionId};

use super::{Answer, DataStream, SessionHandle};

/// The sessions of this node. A stream that names no session in it is refused, never a reason to
/// make one (row C04).
#[derive(Debug)]
pub(crate) struct SessionTable {
    max: usize,
    sessions: Mutex<BTreeMap<SessionId, SessionHandle>>,
}

impl SessionTable {
    pub(crate) fn new(max: usize) -> Self {
        Self { max, sessions: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SessionId, SessionHandle>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, id: &SessionId) -> Option<SessionHandle> {
        self.lock().get(id).cloned()
    }

    /// Keeps a new session; `false` if there are as many as may be, or one of this id is there.
    pub(crate) fn insert(&self, handle: SessionHandle) -> bool {
        let mut sessions = self.lock();
        let fits = sessions.len() < self.max && !sessions.contains_key(&handle.id);
        if fits {
            sessions.insert(handle.id.clone(), handle);
        }
        fits
    }

    /// Forgets a session; another one of the same id stays.
    pub(crate) fn remove(&self, handle: &SessionHandle) {
        let mut sessions = self.lock();
        if sessions.get(&handle.id).is_some_and(|kept| kept.commands.same_channel(&handle.commands)) {
            sessions.remove(&handle.id);
        }
    }

    pub(crate) fn all(&self) -> Vec<SessionHandle> {
        self.lock().values().cloned().collect()
    }

    /// Hands a data stream to the request that waits for it, or gives it back.
    pub(crate) fn deliver(
        &self,
        id: &SessionId,
        request: FetchId,
        stream: DataStream,
    ) -> Result<(), DataStream> {
        let Some(handle) = self.get(id) else { return Err(stream) };
        match handle.routes.answer(request, Answer::Stream(stream)) {
            Ok(()) | Err(Answer::Failed { .. }) => Ok(()),
            Err(Answer::Stream(stream)) => Err(stream),
        }
    }
}
