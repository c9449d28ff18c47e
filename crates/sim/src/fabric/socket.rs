//! A node's end of the fabric.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use peerstream_quic::{DatagramSocket, Received};
use tokio::time::{Instant, Sleep, sleep_until};

use super::Fabric;

/// Datagrams that one send call takes: what a kernel does for packets of this size.
const SEGMENTS_MAX: usize = 10;

/// When a datagram arrives; the number keeps those of one moment in order.
type Arrival = (Instant, u64);

/// What is on its way to a node.
#[derive(Debug, Default)]
pub(super) struct Inbox(Mutex<InboxState>);

#[derive(Debug, Default)]
struct InboxState {
    dead: bool,
    arriving: BTreeMap<Arrival, (SocketAddr, Vec<u8>)>,
    sleep: Option<Pin<Box<Sleep>>>,
    waker: Option<Waker>,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, InboxState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, arrival: Arrival, from: SocketAddr, datagram: Vec<u8>) {
        let mut state = self.lock();
        state.arriving.insert(arrival, (from, datagram));
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }

    /// The node has crashed: what was on its way is gone.
    pub(super) fn kill(&self) {
        let mut state = self.lock();
        state.dead = true;
        state.arriving.clear();
    }

    fn is_dead(&self) -> bool {
        self.lock().dead
    }
}

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
        let mut state = self.inbox.lock();
        let Some((arrival, _)) = state.arriving.keys().next().copied() else {
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        };
        if arrival > Instant::now() {
            // An earlier datagram from a nearer node may still come: wake up for that, too.
            state.waker = Some(cx.waker().clone());
            let sleep = state.sleep.get_or_insert_with(|| Box::pin(sleep_until(arrival)));
            if sleep.deadline() != arrival {
                sleep.as_mut().reset(arrival);
            }
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
        let Some((_, (from, datagram))) = state.arriving.pop_first() else { return Poll::Pending };
        let len = datagram.len().min(buffer.len());
        buffer[..len].copy_from_slice(&datagram[..len]);
        Poll::Ready(Ok(Received { from, len }))
    }

    fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    fn max_segments(&self) -> usize {
        SEGMENTS_MAX
    }
}
