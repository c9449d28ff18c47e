//! One end of a connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use peerstream_transport::{
    BiStream, BoxFuture, Connection, ConnectionError, PeerIdentity, RecvStream, SendStream,
};

use super::halves::{LinkedRecv, LinkedSend};
use super::journey::Journey;
use super::wires::Wires;
use crate::net::Way;

/// What both halves of a stream know of their connection.
#[derive(Debug, Clone)]
pub(super) struct Ends {
    pub(super) wires: Wires,
    /// From here to the peer.
    pub(super) way: Way,
    /// Kept so that a half that waits learns of its end.
    pub(super) connection: Arc<dyn Connection>,
}

/// A connection whose streams go over links.
#[derive(Debug)]
pub(super) struct LinkedConnection(Ends);

impl LinkedConnection {
    pub(super) fn over(connection: Arc<dyn Connection>, wires: Wires, way: Way) -> Arc<dyn Connection> {
        wires.connected(way, &connection);
        Arc::new(Self(Ends { wires, way, connection }))
    }

    fn opening(&self, inner: Box<dyn SendStream>) -> (Box<dyn SendStream>, Arc<Journey>) {
        let (number, journey) = self.0.wires.open();
        (Box::new(LinkedSend::opening(inner, self.0.clone(), journey.clone(), number)), journey)
    }
}

impl Connection for LinkedConnection {
    fn peer(&self) -> &PeerIdentity {
        self.0.connection.peer()
    }

    fn remote_addr(&self) -> SocketAddr {
        self.0.connection.remote_addr()
    }

    fn open_bi(&self) -> BoxFuture<'_, Result<BiStream, ConnectionError>> {
        Box::pin(async {
            let (send, recv) = self.0.connection.open_bi().await?;
            let (send, journey) = self.opening(send);
            Ok((send, Box::new(LinkedRecv::answered(recv, self.0.clone(), journey)) as Box<dyn RecvStream>))
        })
    }

    fn open_uni(&self) -> BoxFuture<'_, Result<Box<dyn SendStream>, ConnectionError>> {
        Box::pin(async { Ok(self.opening(self.0.connection.open_uni().await?).0) })
    }

    fn accept_bi(&self) -> BoxFuture<'_, Result<BiStream, ConnectionError>> {
        Box::pin(async {
            let (send, recv) = self.0.connection.accept_bi().await?;
            let recv = LinkedRecv::accepted(recv, self.0.clone());
            // Who gave the stream up before its first byte has the answer at once.
            let journey = recv.journey().unwrap_or_default();
            let send = LinkedSend::answering(send, self.0.clone(), journey);
            Ok((Box::new(send) as Box<dyn SendStream>, Box::new(recv) as Box<dyn RecvStream>))
        })
    }

    fn accept_uni(&self) -> BoxFuture<'_, Result<Box<dyn RecvStream>, ConnectionError>> {
        Box::pin(async {
            let recv = self.0.connection.accept_uni().await?;
            Ok(Box::new(LinkedRecv::accepted(recv, self.0.clone())) as Box<dyn RecvStream>)
        })
    }

    fn close(&self, code: u32, reason: &str) {
        self.0.connection.close(code, reason);
    }

    fn closed(&self) -> BoxFuture<'_, ConnectionError> {
        self.0.connection.closed()
    }

    fn close_reason(&self) -> Option<ConnectionError> {
        self.0.connection.close_reason()
    }

    /// What the links alone take.
    fn rtt(&self) -> Duration {
        self.0.wires.round_trip(self.0.way)
    }
}
