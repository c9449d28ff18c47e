//! A network in memory: every datagram takes 5 ms, some are lost by a seed, all are written down.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use peerstream_quic::{DatagramSocket, Received};
use tokio::time::{Instant, Sleep, sleep_until};

const LATENCY: Duration = Duration::from_millis(5);

/// When, from where, where to, how many bytes.
pub(crate) type Hop = (Duration, SocketAddr, SocketAddr, usize);

#[derive(Debug)]
pub(crate) struct Fabric {
    start: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    inboxes: BTreeMap<SocketAddr, Arc<Mutex<Inbox>>>,
    trace: Vec<Hop>,
    random: u64,
    loss_percent: u64,
}

#[derive(Debug, Default)]
struct Inbox {
    queue: VecDeque<(Instant, SocketAddr, Vec<u8>)>,
    sleep: Option<Pin<Box<Sleep>>>,
    waker: Option<Waker>,
}

impl Fabric {
    /// Call it on a paused runtime.
    pub(crate) fn new(seed: u64, loss_percent: u64) -> Arc<Self> {
        let state = State { random: seed | 1, loss_percent, ..State::default() };
        Arc::new(Self { start: Instant::now(), state: Mutex::new(state) })
    }

    pub(crate) fn socket(self: &Arc<Self>, addr: SocketAddr) -> Arc<FabricSocket> {
        let inbox = Arc::default();
        self.state.lock().unwrap().inboxes.insert(addr, Arc::clone(&inbox));
        Arc::new(FabricSocket { fabric: Arc::clone(self), addr, inbox })
    }

    pub(crate) fn trace(&self) -> Vec<Hop> {
        self.state.lock().unwrap().trace.clone()
    }
}

impl State {
    /// Xorshift.
    fn lost(&mut self) -> bool {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % 100 < self.loss_percent
    }
}

#[derive(Debug)]
pub(crate) struct FabricSocket {
    fabric: Arc<Fabric>,
    addr: SocketAddr,
    inbox: Arc<Mutex<Inbox>>,
}

impl DatagramSocket for FabricSocket {
    fn try_send(&self, to: SocketAddr, contents: &[u8], segment_size: Option<usize>) -> io::Result<()> {
        let now = Instant::now();
        let mut state = self.fabric.state.lock().unwrap();
        for datagram in contents.chunks(segment_size.unwrap_or(contents.len()).max(1)) {
            state.trace.push((now - self.fabric.start, self.addr, to, datagram.len()));
            if state.lost() {
                continue;
            }
            if let Some(inbox) = state.inboxes.get(&to) {
                let mut inbox = inbox.lock().unwrap();
                inbox.queue.push_back((now + LATENCY, self.addr, datagram.to_vec()));
                inbox.waker.take().into_iter().for_each(Waker::wake);
            }
        }
        Ok(())
    }

    fn poll_recv(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<Received>> {
        let mut inbox = self.inbox.lock().unwrap();
        let Some(arrival) = inbox.queue.front().map(|(arrival, ..)| *arrival) else {
            inbox.waker = Some(cx.waker().clone());
            return Poll::Pending;
        };
        let sleep = inbox.sleep.get_or_insert_with(|| Box::pin(sleep_until(arrival)));
        if sleep.deadline() != arrival {
            sleep.as_mut().reset(arrival);
        }
        if arrival > Instant::now() && sleep.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        let (_, from, datagram) = inbox.queue.pop_front().unwrap();
        let len = datagram.len().min(buffer.len());
        buffer[..len].copy_from_slice(&datagram[..len]);
        Poll::Ready(Ok(Received { from, len }))
    }

    fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    fn max_segments(&self) -> usize {
        10
    }
}
