//! One end of a link.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::MemoryLimits;
use super::halves::{MemoryRecv, MemorySend};
use super::link::{Kind, Link, Side, StreamId};
use crate::{BiStream, BoxFuture, Connection, ConnectionError, PeerIdentity, RecvStream, SendStream};

/// One end of a link, kept by its connection and its streams. When nobody holds it any more, the
/// connection is closed with code 0.
#[derive(Debug)]
pub(super) struct End {
    pub(super) link: Arc<Link>,
    pub(super) side: Side,
}

impl Drop for End {
    fn drop(&mut self) {
        self.link.close(self.side, 0, "dropped");
    }
}

/// A connection of the in-memory network, seen from one end.
pub(super) struct MemoryConnection {
    end: Arc<End>,
    peer: PeerIdentity,
}

impl MemoryConnection {
    /// Both ends of a new link: the dialler's and the acceptor's.
    pub(super) fn pair(
        dialler: (&PeerIdentity, SocketAddr),
        acceptor: (&PeerIdentity, SocketAddr),
        limits: MemoryLimits,
    ) -> (Self, Self) {
        let link = Arc::new(Link::new(dialler.1, acceptor.1, limits));
        let end = |side| Arc::new(End { link: Arc::clone(&link), side });
        let near = Self { end: end(Side::Dialler), peer: acceptor.0.clone() };
        (near, Self { end: end(Side::Acceptor), peer: dialler.0.clone() })
    }

    pub(super) fn link(&self) -> &Arc<Link> {
        &self.end.link
    }

    fn send(&self, stream: StreamId) -> Box<dyn SendStream> {
        Box::new(MemorySend { end: Arc::clone(&self.end), stream })
    }

    fn recv(&self, stream: StreamId) -> Box<dyn RecvStream> {
        Box::new(MemoryRecv { end: Arc::clone(&self.end), stream })
    }

    async fn open(&self, kind: Kind) -> Result<StreamId, ConnectionError> {
        let End { link, side, .. } = &*self.end;
        link.state.wait(|state| state.waiters(*side), |state, _| state.open(*side, kind)).await
    }

    async fn accept(&self, kind: Kind) -> Result<StreamId, ConnectionError> {
        let End { link, side, .. } = &*self.end;
        link.state.wait(|state| state.waiters(*side), |state, wakes| state.accept(*side, kind, wakes)).await
    }
}

impl Connection for MemoryConnection {
    fn peer(&self) -> &PeerIdentity {
        &self.peer
    }

    fn remote_addr(&self) -> SocketAddr {
        self.end.link.addrs[self.end.side.other() as usize]
    }

    fn open_bi(&self) -> BoxFuture<'_, Result<BiStream, ConnectionError>> {
        Box::pin(async {
            let stream = self.open(Kind::Bi).await?;
            Ok((self.send(stream), self.recv(stream)))
        })
    }

    fn open_uni(&self) -> BoxFuture<'_, Result<Box<dyn SendStream>, ConnectionError>> {
        Box::pin(async { Ok(self.send(self.open(Kind::Uni).await?)) })
    }

    fn accept_bi(&self) -> BoxFuture<'_, Result<BiStream, ConnectionError>> {
        Box::pin(async {
            let stream = self.accept(Kind::Bi).await?;
            Ok((self.send(stream), self.recv(stream)))
        })
    }

    fn accept_uni(&self) -> BoxFuture<'_, Result<Box<dyn RecvStream>, ConnectionError>> {
        Box::pin(async { Ok(self.recv(self.accept(Kind::Uni).await?)) })
    }

    fn close(&self, code: u32, reason: &str) {
        self.end.link.close(self.end.side, code, reason);
    }

    fn closed(&self) -> BoxFuture<'_, ConnectionError> {
        let End { link, side, .. } = &*self.end;
        Box::pin(link.state.wait(|state| state.waiters(*side), |state, _| state.closed(*side).cloned()))
    }

    fn close_reason(&self) -> Option<ConnectionError> {
        self.end.link.state.with(|state, _| state.closed(self.end.side).cloned())
    }

    /// Always zero: this network has no delay.
    fn rtt(&self) -> Duration {
        Duration::ZERO
    }
}

impl fmt::Debug for MemoryConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "memory connection to {} at {}", self.peer, self.remote_addr())
    }
}
