//! A node's end of the fabric.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use peerstream_quic::{DatagramSocket, Received};

use super::Fabric;
use super::inbox::Inbox;

/// Datagrams that one send call takes: what a kernel does for packets of this size.
const SEGMENTS_MAX: usize = 10;

/// A node's datagram socket.
pub(crate) struct FabricSocket {
    fabric: Fabric,
    addr: SocketAddr,
    inbox: Arc<Inbox>,
}

impl FabricSocket {
    pub(super) fn new(fabric: Fabric, addr: SocketAddr, inbox: Arc<Inbox>) -> Self {
        Self { fabric, addr, inbox }
    }
}

impl fmt::Debug for FabricSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "simulated socket at {}", self.addr)
    }
}

impl DatagramSocket for FabricSocket {
    fn try_send(&self, to: SocketAddr, contents: &[u8], segment_size: Option<usize>) -> io::Result<()> {
        if self.inbox.is_dead() {
            return Ok(());
        }
        for datagram in contents.chunks(segment_size.unwrap_or(contents.len()).max(1)) {
            self.fabric.send(self.addr, to, datagram);
        }
        Ok(())
    }

    fn poll_recv(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<Received>> {
        let next = ready!(self.inbox.poll_next(cx));
        let len = next.datagram.len().min(buffer.len());
        buffer[..len].copy_from_slice(&next.datagram[..len]);
        Poll::Ready(Ok(Received { from: next.from, len }))
    }

    fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    fn max_segments(&self) -> usize {
        SEGMENTS_MAX
    }
}
