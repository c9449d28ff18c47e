//! The datagram socket below QUIC: a seam of our own, and the kernel's.

mod joined;
mod kernel;

use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};

pub(crate) use self::joined::JoinedSocket;
pub(crate) use self::kernel::{KernelSocket, SocketErrors};

/// Largest payload of one UDP send call over IPv4. More in one segmented batch fails in the kernel,
/// and is then silently lost.
const SEND_MAX: usize = 65_507;

/// Packets of up to `mtu` bytes that one send may carry, of those that the socket offers.
fn segments_max(mtu: u16, offered: usize) -> usize {
    (SEND_MAX / usize::from(mtu.max(1))).min(offered).max(1)
}

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
pub(crate) struct SeamSocket {
    socket: Arc<dyn DatagramSocket>,
    mtu: u16,
}

impl SeamSocket {
    pub(crate) fn new(socket: Arc<dyn DatagramSocket>, mtu: u16) -> Self {
        Self { socket, mtu }
    }
}

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
        match self.socket.try_send(transmit.destination, transmit.contents, transmit.segment_size) {
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
            match self.socket.poll_recv(cx, buffer) {
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
        Ok(self.socket.local_addr())
    }

    fn max_transmit_segments(&self) -> usize {
        segments_max(self.mtu, self.socket.max_segments())
    }

    fn may_fragment(&self) -> bool {
        false
    }
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
        let cap = |mtu| SeamSocket::new(Arc::new(Kernel), mtu).max_transmit_segments();
        for mtu in [1_200, 1_452, 8_972] {
            assert!(cap(mtu) * usize::from(mtu) <= SEND_MAX, "{mtu}");
        }
        assert_eq!((cap(1_452), cap(8_972)), (45, 7));
    }

    #[test]
    fn a_full_socket_drops_instead_of_blocking() {
        let socket = SeamSocket::new(Arc::new(Kernel), 1_452);
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
