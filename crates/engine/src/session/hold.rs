//! A peer's offer, held until it is released: whatever happens to the holder, the peer learns of it.

use peerstream_types::OfferId;
use peerstream_wire::message::ReleaseReason;

use super::SessionHandle;

/// Holds an offer of the peer. Dropped without a word, it is released as given up: a job that could
/// not begin, or came too late, never leaves the peer waiting.
#[derive(Debug)]
pub(crate) struct Hold {
    session: SessionHandle,
    offer: OfferId,
    released: bool,
}

impl Hold {
    pub(super) fn new(session: SessionHandle, offer: OfferId) -> Self {
        Self { session, offer, released: false }
    }

    /// Releases the offer with a reason. If it is dropped before the session has taken that, the offer
    /// is released as if nothing had been said.
    pub(crate) async fn release(mut self, reason: ReleaseReason) {
        self.session.release(self.offer, reason).await;
        self.released = true;
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.released {
            return;
        }
        let (session, offer) = (self.session.clone(), self.offer);
        // Without a runtime everything ends anyway, and the peer sees the connection go.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { session.release(offer, ReleaseReason::GivenUp).await });
        }
    }
}
