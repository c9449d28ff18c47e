//! A node's end of the network, whichever it is.

use std::sync::Arc;

use peerstream_quic::{Credentials, QuicTransport};
use peerstream_transport::Transport;

/// A node's end of the network. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Uplink {
    transport: Arc<dyn Transport>,
    quic: Option<Arc<QuicTransport>>,
}

impl Uplink {
    pub(crate) fn memory(transport: impl Transport + 'static) -> Self {
        Self { transport: Arc::new(transport), quic: None }
    }

    pub(crate) fn quic(transport: QuicTransport) -> Self {
        let transport = Arc::new(transport);
        Self { transport: transport.clone(), quic: Some(transport) }
    }

    pub(crate) fn transport(&self) -> Arc<dyn Transport> {
        self.transport.clone()
    }

    /// Ends what is left of a dead node's connections, which nobody hears any more.
    pub(crate) fn abandon(&self) {
        // The call closes; what it gives back would wait until the peers were told.
        drop(self.transport.close());
    }

    /// Uses other credentials from now on, if there are any, and by the node's own clock they are valid.
    /// Says whether it does.
    pub(crate) fn reload(&self, credentials: impl FnOnce() -> Credentials) -> bool {
        self.quic.as_ref().is_some_and(|quic| quic.reload(&credentials()).is_ok())
    }
}
