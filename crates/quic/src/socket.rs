//! The datagram socket below QUIC: a seam of our own, and the real one.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use peerstream_types::ByteCount;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, Runtime, TokioRuntime, UdpPoller};
use socket2::{Domain, Protocol, Socket, Type};

/// Largest payload of one UDP send call over IPv4. More in one segmented batch fails in the kernel,
/// and is then silently lost.
const SEND_MAX: usize = 65_507;

/// A datagram that was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Who sent it.
    pub from: SocketAddr,
    /// Its length in bytes; it stands at the front of the buffer.
    pub len: usize,
}

/// An unreliable datagram socket, for running QUIC over something else than the kernel's UDP: a
/// simulated network, a relay that loses and delays.
pub trait DatagramSocket: Send + Sync + fmt::Debug + 'static {
    /// Sends now or drops, as networks do; never blocks. `contents` is one datagram, or several of
    /// `segment_size` bytes each (the last may be shorter), never more than
    /// [`max_segments`](DatagramSocket::max_segments).
    ///
    /// # Errors
    ///
    /// An error other than `WouldBlock` (which counts as a drop) ends the connection that sends.
    fn try_send(
        &self,
        destination: SocketAddr,
        contents: &[u8],
        segment_size: Option<usize>,
    ) -> io::Result<()>;

    /// Receives one datagram into `buffer`, cutting off what does not fit, or registers the task.
    ///
    /// # Errors
    ///
    /// An error ends the whole endpoint: the socket is gone.
    fn poll_recv(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<Received>>;

    /// The socket's own address.
    fn local_addr(&self) -> SocketAddr;

    /// Datagrams that one [`try_send`](DatagramSocket::try_send) takes. Default 1.
    fn max_segments(&self) -> usize {
        1
    }
}

/// A [`DatagramSocket`] as QUIC wants it.
#[derive(Debug)]
pub(crate) struct SeamSocket(pub(crate) Arc<dyn DatagramSocket>);

/// Ready at any time: a [`DatagramSocket`] drops what it cannot take.
#[derive(Debug)]
struct AlwaysWritable;

impl UdpPoller for AlwaysWritable {
    fn poll_writable(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncUdpSocket for SeamSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(AlwaysWritable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        match self.0.try_send(transmit.destination, transmit.contents, transmit.segment_size) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            sent => sent,
        }
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut received = 0;
        for (buffer, meta) in buffers.iter_mut().zip(meta) {
            match self.0.poll_recv(cx, buffer) {
                Poll::Ready(Ok(Received { from, len })) => {
                    *meta = RecvMeta::default();
                    (meta.addr, meta.len, meta.stride) = (from, len, len);
                    received += 1;
                }
                Poll::Ready(Err(error)) if received == 0 => return Poll::Ready(Err(error)),
                Poll::Ready(Err(_)) | Poll::Pending => break,
            }
        }
        if received == 0 { Poll::Pending } else { Poll::Ready(Ok(received)) }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.0.local_addr())
    }

    fn max_transmit_segments(&self) -> usize {
        self.0.max_segments().max(1)
    }

    fn may_fragment(&self) -> bool {
        false
    }
}

/// A socket whose batches always fit one UDP send, whatever the packet size.
#[derive(Debug)]
pub(crate) struct CappedSocket {
    inner: Arc<dyn AsyncUdpSocket>,
    segments: usize,
}

impl CappedSocket {
    /// Caps batches of packets of up to `mtu` bytes.
    pub(crate) fn new(inner: Arc<dyn AsyncUdpSocket>, mtu: u16) -> Self {
        let segments = (SEND_MAX / usize::from(mtu.max(1))).min(inner.max_transmit_segments()).max(1);
        Self { inner, segments }
    }
}

impl AsyncUdpSocket for CappedSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.inner).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.inner.try_send(transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_recv(cx, buffers, meta)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.segments
    }

    fn max_receive_segments(&self) -> usize {
        self.inner.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.inner.may_fragment()
    }
}

/// Binds a UDP socket on the current tokio runtime. IPv6 sockets take IPv4 peers as well.
pub(crate) fn bind(addr: SocketAddr, buffer: ByteCount) -> io::Result<Arc<dyn AsyncUdpSocket>> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&addr.into())?;
    grow_buffers(&socket, usize::try_from(buffer.0).unwrap_or(usize::MAX));
    TokioRuntime.wrap_udp_socket(socket.into())
}

/// Asks for larger kernel buffers; what the kernel gives is logged, and never an error.
fn grow_buffers(socket: &Socket, bytes: usize) {
    let asked = socket.set_recv_buffer_size(bytes).and_then(|()| socket.set_send_buffer_size(bytes));
    let (receive, send) = (socket.recv_buffer_size(), socket.send_buffer_size());
    tracing::debug!(?asked, ?receive, ?send, bytes, "socket buffers");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Kernel;

    impl DatagramSocket for Kernel {
        fn try_send(&self, _: SocketAddr, _: &[u8], _: Option<usize>) -> io::Result<()> {
            Err(io::ErrorKind::WouldBlock.into())
        }
        fn poll_recv(&self, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<Received>> {
            Poll::Pending
        }
        fn local_addr(&self) -> SocketAddr {
            ([127, 0, 0, 1], 1).into()
        }
        fn max_segments(&self) -> usize {
            64
        }
    }

    /// A segmented batch above 64 KiB is silent packet loss.
    #[test]
    fn a_batch_never_exceeds_one_udp_send() {
        let cap = |mtu| CappedSocket::new(Arc::new(SeamSocket(Arc::new(Kernel))), mtu).segments;
        for mtu in [1_200, 1_452, 8_972] {
            assert!(cap(mtu) * usize::from(mtu) <= SEND_MAX, "{mtu}");
        }
        assert_eq!((cap(1_452), cap(8_972)), (45, 7));
    }

    #[test]
    fn a_full_socket_drops_instead_of_blocking() {
        let socket = SeamSocket(Arc::new(Kernel));
        let transmit = Transmit {
            destination: ([127, 0, 0, 1], 2).into(),
            ecn: None,
            contents: b"x",
            segment_size: None,
            src_ip: None,
        };
        assert!(socket.try_send(&transmit).is_ok());
    }
}
