//! A socket that joins consecutive batches of packets into one send.
//!
//! QUIC below us hands over at most 10 packets at a time; the kernel takes up to 64 KiB, and most of
//! what a send costs does not depend on its length.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use quinn::udp::{EcnCodepoint, RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::SEND_MAX;

/// Joins batches to the same peer; see [`Batch::takes`] for which. What waits leaves as soon as no
/// more fits, something else is sent, or the tasks that were ready have had their turn.
#[derive(Debug)]
pub(crate) struct JoinedSocket {
    shared: Arc<Shared>,
    closed: CancellationToken,
}

#[derive(Debug)]
struct Shared {
    inner: Arc<dyn AsyncUdpSocket>,
    batch: Mutex<Batch>,
    started: Notify,
}

impl JoinedSocket {
    /// Wraps a socket, and gives the future that sends what waits: it has to run beside the tasks
    /// that send, and ends with the socket.
    pub(crate) fn new(inner: Arc<dyn AsyncUdpSocket>) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let shared = Arc::new(Shared { inner, batch: Mutex::default(), started: Notify::new() });
        let closed = CancellationToken::new();
        let flusher = Arc::clone(&shared).flush_each_turn(closed.clone());
        (Self { shared, closed }, flusher)
    }
}

impl Drop for JoinedSocket {
    fn drop(&mut self) {
        self.closed.cancel();
    }
}

impl Shared {
    fn batch(&self) -> MutexGuard<'_, Batch> {
        // A batch is whole at every point where something could panic.
        self.batch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends what waits. On `WouldBlock` all of it still waits; other errors are losses.
    fn flush(&self, batch: &mut Batch) -> io::Result<()> {
        if batch.bytes.is_empty() {
            return Ok(());
        }
        match self.inner.try_send(&batch.transmit()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(error),
            sent => {
                batch.bytes.clear();
                sent
            }
        }
    }

    async fn flush_each_turn(self: Arc<Self>, closed: CancellationToken) {
        while closed.run_until_cancelled(self.started.notified()).await.is_some() {
            tokio::task::yield_now().await;
            self.flush_when_writable(&closed).await;
        }
        // The last chance of what nobody waits for any more.
        let _ = self.flush(&mut self.batch());
    }

    async fn flush_when_writable(&self, closed: &CancellationToken) {
        let mut poller: Option<Pin<Box<dyn UdpPoller>>> = None;
        while self.flush(&mut self.batch()).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            let poller = poller.get_or_insert_with(|| Arc::clone(&self.inner).create_io_poller());
            let writable = std::future::poll_fn(|cx| poller.as_mut().poll_writable(cx));
            if !matches!(closed.run_until_cancelled(writable).await, Some(Ok(()))) {
                return;
            }
        }
    }
}

impl AsyncUdpSocket for JoinedSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.shared.inner).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let mut batch = self.shared.batch();
        let segments_max = self.shared.inner.max_transmit_segments();
        if !batch.takes(transmit, segments_max) {
            self.shared.flush(&mut batch)?;
            if !Batch::starts(transmit, segments_max) {
                return self.shared.inner.try_send(transmit);
            }
            self.shared.started.notify_one();
        }
        batch.push(transmit);
        if batch.is_full(transmit.contents.len(), segments_max) {
            // What was taken is kept on `WouldBlock`: the next send finds no room, and waits.
            match self.shared.flush(&mut batch) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.shared.inner.poll_recv(cx, buffers, meta)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.shared.inner.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.shared.inner.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.shared.inner.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.shared.inner.may_fragment()
    }
}

/// Packets of one length to one peer; only the last may be shorter, and ends the batch.
#[derive(Debug)]
struct Batch {
    bytes: Vec<u8>,
    segment: usize,
    destination: SocketAddr,
    source: Option<IpAddr>,
    ecn: Option<EcnCodepoint>,
}

impl Default for Batch {
    fn default() -> Self {
        let nobody = SocketAddr::from(([0, 0, 0, 0], 0));
        Self { bytes: Vec::new(), segment: 1, destination: nobody, source: None, ecn: None }
    }
}

impl Batch {
    /// Most bytes of one send of packets of `segment` bytes.
    fn room(segment: usize, segments_max: usize) -> usize {
        segment.saturating_mul(segments_max.min(SEND_MAX / segment.max(1)))
    }

    /// Whether a batch may start with `transmit`: several packets, all of one length, and as many
    /// again would fit. What stands alone (acknowledgements, probes, a close) never waits.
    fn starts(transmit: &Transmit<'_>, segments_max: usize) -> bool {
        let len = transmit.contents.len();
        transmit.segment_size.is_some_and(|segment| {
            len.is_multiple_of(segment) && 2 * len <= Self::room(segment, segments_max)
        })
    }

    /// Whether `transmit` continues what waits: to the same peer, from the same address, with the
    /// same mark, in packets of the same length, and there is room.
    fn takes(&self, transmit: &Transmit<'_>, segments_max: usize) -> bool {
        let len = transmit.contents.len();
        let same_length = match transmit.segment_size {
            Some(segment) => segment == self.segment,
            None => len <= self.segment,
        };
        !self.bytes.is_empty()
            && same_length
            && self.is_whole()
            && self.bytes.len() + len <= Self::room(self.segment, segments_max)
            && (self.destination, self.source, self.ecn)
                == (transmit.destination, transmit.src_ip, transmit.ecn)
    }

    /// Whether all packets have the same length.
    fn is_whole(&self) -> bool {
        self.bytes.len().is_multiple_of(self.segment)
    }

    /// Whether another `len` bytes would not fit any more.
    fn is_full(&self, len: usize, segments_max: usize) -> bool {
        !self.is_whole() || self.bytes.len() + len > Self::room(self.segment, segments_max)
    }

    fn push(&mut self, transmit: &Transmit<'_>) {
        if self.bytes.is_empty() {
            self.segment = transmit.segment_size.unwrap_or(transmit.contents.len());
            self.destination = transmit.destination;
            (self.source, self.ecn) = (transmit.src_ip, transmit.ecn);
        }
        self.bytes.extend_from_slice(transmit.contents);
    }

    fn transmit(&self) -> Transmit<'_> {
        Transmit {
            destination: self.destination,
            ecn: self.ecn,
            contents: &self.bytes,
            segment_size: (self.bytes.len() > self.segment).then_some(self.segment),
            src_ip: self.source,
        }
    }
}

#[cfg(test)]
mod tests;
