//! A node's end of the network.

use std::net::SocketAddr;
use std::sync::Arc;

use peerstream_transport::memory::MemoryTransport;
use peerstream_transport::{BoxFuture, ConnectError, Connection, Lane, Target, Transport};

use super::connection::LinkedConnection;
use super::wires::Wires;

/// A [`MemoryTransport`] whose bytes go over links.
#[derive(Debug)]
pub(crate) struct LinkedTransport {
    inner: MemoryTransport,
    wires: Wires,
}

impl LinkedTransport {
    pub(super) fn new(inner: MemoryTransport, wires: Wires) -> Self {
        Self { inner, wires }
    }
}

impl Transport for LinkedTransport {
    /// A dial takes a round trip.
    fn connect(
        &self,
        target: &Target,
        lane: Lane,
    ) -> BoxFuture<'static, Result<Arc<dyn Connection>, ConnectError>> {
        let (dial, wires, target) = (self.inner.connect(target, lane), self.wires.clone(), target.clone());
        let way = (self.local_addr(), target.addr);
        Box::pin(async move {
            let round_trip = wires.round_trip(way);
            if !round_trip.is_zero() {
                tokio::time::sleep(round_trip).await;
            }
            if wires.meets_cut(way) {
                let why = "one direction of the network between us is cut".to_owned();
                return Err(ConnectError::Unreachable { target, why });
            }
            Ok(LinkedConnection::over(dial.await?, wires, way))
        })
    }

    fn accept(&self) -> BoxFuture<'_, Option<Arc<dyn Connection>>> {
        Box::pin(async {
            let inner = self.inner.accept().await?;
            let way = (self.local_addr(), inner.remote_addr());
            Some(LinkedConnection::over(inner, self.wires.clone(), way))
        })
    }

    fn local_addr(&self) -> SocketAddr {
        self.inner.local_addr()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.inner.close()
    }
}
