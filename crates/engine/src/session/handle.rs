//! A session, for those who use it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use peerstream_types::{FetchId, OfferId, SessionId, Span};
use peerstream_wire::message::ReleaseReason;
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::{Answer, Ask, Command, Routes};
use crate::regards::Incident;
use crate::watch;

/// A running session. Cheap to clone; the session does not end because handles are dropped.
#[derive(Debug, Clone)]
pub(crate) struct SessionHandle {
    pub(crate) id: SessionId,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) routes: Arc<Routes>,
    pub(super) ended: watch::Receiver<Option<SessionEnd>>,
    pub(super) abort: watch::Receiver<Option<String>>,
    pub(super) counted: Arc<Counted>,
    /// Names the session in what its peer is blamed for.
    pub(crate) incident: Incident,
}

/// Bytes that were counted since the session's task last looked: it looks whenever it wakes and
/// before it ends, so counting wakes nobody.
#[derive(Debug, Default)]
pub(super) struct Counted {
    sent: AtomicU64,
    wasted: AtomicU64,
}

impl Counted {
    /// Bytes sent and bytes wasted since the last time.
    pub(super) fn take(&self) -> (u64, u64) {
        (self.sent.swap(0, Ordering::Relaxed), self.wasted.swap(0, Ordering::Relaxed))
    }
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SessionEnd {
    /// Someone called it off, here or there; otherwise it completed or failed.
    pub(crate) called_off: bool,
    /// In words.
    pub(crate) reason: String,
}

/// A request under way. Dropped without a word it is given up: an answer that comes later is stopped
/// unread, and the request no longer counts against what the peer allows.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) answer: oneshot::Receiver<Answer>,
    id: FetchId,
    session: SessionHandle,
    is_done: bool,
}

impl Request {
    pub(super) fn new(session: SessionHandle, id: FetchId) -> Self {
        Self { answer: session.routes.expect(id), id, session, is_done: false }
    }

    /// It has ended on our side. Dropped before the session has taken that, it is given up.
    pub(crate) async fn done(mut self) {
        self.session.routes.forget(self.id);
        self.session.tell(Command::Done(self.id)).await;
        self.is_done = true;
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        self.session.routes.forget(self.id);
        let told = self.session.commands.try_send(Command::Done(self.id));
        // Without a runtime everything ends anyway; a session that has ended counts nothing.
        if let (Err(TrySendError::Full(done)), Ok(runtime)) = (told, Handle::try_current()) {
            let session = self.session.clone();
            runtime.spawn(async move { session.tell(done).await });
        }
    }
}

impl SessionHandle {
    /// Asks the peer for something.
    pub(crate) async fn ask(&self, ask: Ask) -> Result<Request, String> {
        let (reply, answer) = oneshot::channel();
        self.tell(Command::Ask { ask, reply }).await;
        answer.await.unwrap_or_else(|_| Err(self.why_ended()))
    }

    pub(crate) async fn received(&self, offer: OfferId, spans: Vec<Span>, bytes: u64) {
        self.tell(Command::Received { offer, spans, bytes }).await;
    }

    /// Content came and was thrown away.
    pub(crate) fn wasted(&self, bytes: u64) {
        self.counted.wasted.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Content was written towards the peer.
    pub(crate) fn sent(&self, bytes: u64) {
        self.counted.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) async fn release(&self, offer: OfferId, reason: ReleaseReason) {
        self.tell(Command::Release { offer, reason }).await;
    }

    /// Tells the session's task; it has ended if it does not listen, which is no error here.
    pub(crate) async fn tell(&self, command: Command) {
        let _ = self.commands.send(command).await;
    }

    /// Waits for the session's end and says how it ended. Cancel safe.
    pub(crate) async fn ended(&self) -> SessionEnd {
        let end = self.ended.wait_for(Option::is_some).await.ok().flatten();
        end.unwrap_or_else(|| SessionEnd { called_off: false, reason: "its task ended".to_owned() })
    }

    /// Set when the session's plan is called off.
    pub(crate) fn abort_watch(&self) -> watch::Receiver<Option<String>> {
        self.abort.clone()
    }

    fn why_ended(&self) -> String {
        let end = self.ended.get();
        end.map_or_else(|| "the session is ending".to_owned(), |end| end.reason)
    }
}
