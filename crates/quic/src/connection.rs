//! A QUIC connection whose other end is authenticated.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use peerstream_transport::{
    BiStream, BoxFuture, Connection, ConnectionError, PeerIdentity, RecvStream, SendStream,
};
use rustls_pki_types::CertificateDer;

use crate::config::LaneConfig;
use crate::error;
use crate::identity::{self, IdentityError};
use crate::send_window::SendWindow;
use crate::stream::{QuicRecvStream, QuicSendStream};

/// Longest close reason that is sent, in bytes: it has to fit one packet.
const CLOSE_REASON_MAX: usize = 512;

/// A QUIC connection whose other end is authenticated.
pub(crate) struct QuicConnection {
    inner: quinn::Connection,
    peer: PeerIdentity,
    window: Arc<SendWindow>,
}

impl QuicConnection {
    /// Takes a connection whose handshake is done, and reads who the other end is.
    pub(crate) fn new(inner: quinn::Connection, lane: &LaneConfig) -> Result<Self, IdentityError> {
        let chain = inner.peer_identity().and_then(|any| any.downcast::<Vec<CertificateDer<'static>>>().ok());
        let peer = match chain.as_ref().and_then(|chain| chain.first()) {
            Some(leaf) => identity::of_certificate(leaf)?,
            None => return Err(IdentityError::Unreadable("there is none".to_owned())),
        };
        let window = Arc::new(SendWindow::new(inner.clone(), lane));
        Ok(Self { inner, peer, window })
    }

    fn sender(&self, stream: quinn::SendStream) -> Box<dyn SendStream> {
        Box::new(QuicSendStream::new(stream, Arc::clone(&self.window)))
    }

    fn both(&self, (send, recv): (quinn::SendStream, quinn::RecvStream)) -> BiStream {
        (self.sender(send), Box::new(QuicRecvStream::new(recv)))
    }
}

impl Connection for QuicConnection {
    fn peer(&self) -> &PeerIdentity {
        &self.peer
    }

    fn remote_addr(&self) -> SocketAddr {
        canonical(self.inner.remote_address())
    }

    fn open_bi(&self) -> BoxFuture<'_, Result<BiStream, ConnectionError>> {
        Box::pin(async {
            self.inner.open_bi().await.map(|stream| self.both(stream)).map_err(error::connection)
        })
    }

    fn open_uni(&self) -> BoxFuture<'_, Result<Box<dyn SendStream>, ConnectionError>> {
        Box::pin(async {
            self.inner.open_uni().await.map(|stream| self.sender(stream)).map_err(error::connection)
        })
    }

    fn accept_bi(&self) -> BoxFuture<'_, Result<BiStream, ConnectionError>> {
        Box::pin(async {
            self.inner.accept_bi().await.map(|stream| self.both(stream)).map_err(error::connection)
        })
    }

    fn accept_uni(&self) -> BoxFuture<'_, Result<Box<dyn RecvStream>, ConnectionError>> {
        Box::pin(async {
            let stream = self.inner.accept_uni().await.map_err(error::connection)?;
            Ok(Box::new(QuicRecvStream::new(stream)) as Box<dyn RecvStream>)
        })
    }

    fn close(&self, code: u32, reason: &str) {
        // QUIC below us would forget the first reason.
        if self.inner.close_reason().is_some() {
            return;
        }
        let end = reason.floor_char_boundary(CLOSE_REASON_MAX);
        self.inner.close(code.into(), &reason.as_bytes()[..end]);
    }

    fn closed(&self) -> BoxFuture<'_, ConnectionError> {
        Box::pin(async { error::connection(self.inner.closed().await) })
    }

    fn close_reason(&self) -> Option<ConnectionError> {
        self.inner.close_reason().map(error::connection)
    }

    fn rtt(&self) -> Duration {
        self.inner.rtt()
    }
}

/// IPv4 peers of an IPv6 socket under the address that everybody else knows them by.
pub(crate) fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

impl fmt::Debug for QuicConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QuicConnection({} at {})", self.peer, self.remote_addr())
    }
}
