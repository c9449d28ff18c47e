//! Joined batches against a socket that writes down what it is given and can be full.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Waker;

use super::*;

const MTU: usize = 1_452;

/// Takes what it is sent, unless it is full.
#[derive(Debug, Default)]
struct Kernel {
    sent: Mutex<Vec<Sent>>,
    full: AtomicBool,
    refused: AtomicUsize,
    waiting: Mutex<Vec<Waker>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Sent {
    to: u16,
    bytes: Vec<u8>,
    segment: Option<usize>,
}

impl Kernel {
    fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::Relaxed);
        if !full {
            self.waiting.lock().unwrap().drain(..).for_each(Waker::wake);
        }
    }

    /// What was sent, as (destination, packets, bytes), and forgets it.
    fn take(&self) -> Vec<(u16, usize, usize)> {
        let sent = std::mem::take(&mut *self.sent.lock().unwrap());
        let packets = |sent: &Sent| sent.segment.map_or(1, |segment| sent.bytes.len().div_ceil(segment));
        sent.iter().map(|sent| (sent.to, packets(sent), sent.bytes.len())).collect()
    }
}

#[derive(Debug)]
struct Poller(Arc<Kernel>);

impl UdpPoller for Poller {
    fn poll_writable(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.0.full.load(Ordering::Relaxed) {
            self.0.waiting.lock().unwrap().push(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncUdpSocket for Kernel {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Poller(self))
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        if self.full.load(Ordering::Relaxed) {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let (to, segment) = (transmit.destination.port(), transmit.segment_size);
        self.sent.lock().unwrap().push(Sent { to, bytes: transmit.contents.to_vec(), segment });
        Ok(())
    }

    fn poll_recv(
        &self,
        _: &mut Context<'_>,
        _: &mut [IoSliceMut<'_>],
        _: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok((Ipv4Addr::LOCALHOST, 1).into())
    }

    fn max_transmit_segments(&self) -> usize {
        SEND_MAX / MTU
    }
}

fn batch(to: u16, contents: &[u8]) -> Transmit<'_> {
    Transmit {
        destination: (Ipv4Addr::LOCALHOST, to).into(),
        ecn: None,
        contents,
        segment_size: Some(MTU),
        src_ip: None,
    }
}

fn lone(to: u16, contents: &[u8]) -> Transmit<'_> {
    Transmit { segment_size: None, ..batch(to, contents) }
}

/// A socket with its flusher, on the runtime of the test.
fn socket() -> (JoinedSocket, Arc<Kernel>, tokio::task::JoinHandle<()>) {
    let kernel = Arc::<Kernel>::default();
    let (socket, flusher) = JoinedSocket::new(Arc::<Kernel>::clone(&kernel));
    (socket, kernel, tokio::spawn(flusher))
}

/// Lets everything that is ready have its turn, a few times over.
async fn turns() {
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
}

/// Ten packets, each byte its number.
fn ten(first: u8) -> Vec<u8> {
    (0..10).flat_map(|n| [first + n; MTU]).collect()
}

/// D11: one system call sends as much as UDP takes at once.
#[tokio::test]
async fn consecutive_batches_leave_in_one_send_of_less_than_64_kib() {
    let (socket, kernel, _flusher) = socket();
    for n in 0..8 {
        socket.try_send(&batch(2, &ten(n * 10))).unwrap();
    }
    let sent = kernel.sent.lock().unwrap().clone();
    let bytes: Vec<u8> = sent.iter().flat_map(|sent| sent.bytes.clone()).collect();
    assert_eq!(bytes, (0..8).flat_map(|n| ten(n * 10)).collect::<Vec<_>>());
    assert_eq!(kernel.take(), [(2, 40, 40 * MTU), (2, 40, 40 * MTU)]);
    turns().await;
    assert_eq!(kernel.take(), [], "and nothing twice");
}

#[tokio::test]
async fn what_waits_leaves_one_turn_later() {
    let (socket, kernel, _flusher) = socket();
    for n in 0..3 {
        turns().await;
        socket.try_send(&batch(2, &ten(n))).unwrap();
        assert_eq!(kernel.take(), []);
        turns().await;
        assert_eq!(kernel.take(), [(2, 10, 10 * MTU)]);
    }
}

/// Peers, marks, addresses and packet lengths are not mixed, and the order stays.
#[tokio::test]
async fn what_differs_does_not_join() {
    let (socket, kernel, _flusher) = socket();
    let full = ten(0);
    let marked = Transmit { ecn: Some(EcnCodepoint::Ect0), ..batch(2, &full) };
    let from = Transmit { src_ip: Some(Ipv4Addr::LOCALHOST.into()), ..batch(2, &full) };
    let smaller = Transmit { segment_size: Some(1_200), ..batch(2, &full[..12_000]) };
    for other in [batch(3, &full), marked, from, smaller] {
        socket.try_send(&batch(2, &full)).unwrap();
        socket.try_send(&other).unwrap();
        assert_eq!(kernel.take(), [(2, 10, 10 * MTU)]);
        turns().await;
        assert_eq!(kernel.take().len(), 1);
    }
}

/// A last packet that is shorter ends the send; a longer one (a probe) goes by itself, as do
/// acknowledgements.
#[tokio::test]
async fn lone_packets_never_wait() {
    let (socket, kernel, _flusher) = socket();
    socket.try_send(&lone(2, &[1; 40])).unwrap();
    assert_eq!(kernel.take(), [(2, 1, 40)]);
    socket.try_send(&batch(2, &ten(0))).unwrap();
    socket.try_send(&lone(2, &[1; 40])).unwrap();
    assert_eq!(kernel.take(), [(2, 11, 10 * MTU + 40)]);
    socket.try_send(&batch(2, &ten(0))).unwrap();
    socket.try_send(&lone(2, &[1; 8_972])).unwrap();
    assert_eq!(kernel.take(), [(2, 10, 10 * MTU), (2, 1, 8_972)]);
    socket.try_send(&batch(2, &ten(0)[..2 * MTU + 7])).unwrap();
    assert_eq!(kernel.take(), [(2, 3, 2 * MTU + 7)]);
}

/// A full socket loses nothing, holds one batch and no more, and is not asked again and again.
#[tokio::test]
async fn a_full_socket_keeps_what_was_taken_and_takes_no_more() {
    let (socket, kernel, _flusher) = socket();
    kernel.set_full(true);
    let mut taken = 0;
    while socket.try_send(&batch(2, &ten(taken * 10))).is_ok() {
        taken += 1;
    }
    assert_eq!(taken, 4, "one send's worth");
    let refused = || kernel.refused.load(Ordering::Relaxed);
    turns().await;
    let before = refused();
    turns().await;
    assert_eq!(refused(), before, "the flusher waits for the socket");
    kernel.set_full(false);
    turns().await;
    let sent = kernel.sent.lock().unwrap().clone();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].bytes, (0..4).flat_map(|n| ten(n * 10)).collect::<Vec<_>>());
    socket.try_send(&batch(2, &ten(0))).unwrap();
}

/// A close goes out behind what waits, also through a socket that is full at first.
#[tokio::test]
async fn a_lone_packet_behind_a_full_socket_is_not_lost() {
    let (socket, kernel, _flusher) = socket();
    socket.try_send(&batch(2, &ten(0))).unwrap();
    kernel.set_full(true);
    let close = lone(3, b"close");
    let error = socket.try_send(&close).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    kernel.set_full(false);
    socket.try_send(&close).unwrap();
    assert_eq!(kernel.take(), [(2, 10, 10 * MTU), (3, 1, 5)]);
}

#[tokio::test]
async fn a_socket_that_is_dropped_sends_what_waits_and_ends_its_flusher() {
    let (socket, kernel, flusher) = socket();
    turns().await;
    socket.try_send(&batch(2, &ten(0))).unwrap();
    drop(socket);
    flusher.await.unwrap();
    assert_eq!(kernel.take(), [(2, 10, 10 * MTU)]);
    assert_eq!(Arc::strong_count(&kernel), 1, "the socket below is closed");
}

/// Blocked for good, the flusher still ends with its socket.
#[tokio::test]
async fn a_flusher_that_waits_ends_with_its_socket() {
    let (socket, kernel, flusher) = socket();
    kernel.set_full(true);
    socket.try_send(&batch(2, &ten(0))).unwrap();
    turns().await;
    drop(socket);
    flusher.await.unwrap();
}
