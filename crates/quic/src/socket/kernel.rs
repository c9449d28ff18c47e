//! The kernel's UDP socket: segmentation within what one send can carry, errors counted.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use quinn::udp::{RecvMeta, Transmit, UdpSocketState};
use quinn::{AsyncUdpSocket, UdpPoller};
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::segments_max;
use crate::config::QuicConfig;

/// Longest run of failing receive calls; a socket that fails more often in a row is gone.
const RECEIVE_ERRORS_MAX: usize = 64;
/// Most bytes that the kernel hands over as one message of joined datagrams.
const RECEIVE_MAX: usize = 65_535;

/// What went wrong below QUIC, where nobody gets to see an error.
#[derive(Debug, Default)]
pub(crate) struct SocketErrors {
    pub(crate) send: AtomicU64,
    pub(crate) receive: AtomicU64,
}

impl SocketErrors {
    /// Counts and logs; the log grows with the logarithm of the count.
    fn count(counter: &AtomicU64, what: &str, error: &io::Error) {
        let count = counter.fetch_add(1, Ordering::Relaxed) + 1;
        if count.is_power_of_two() {
            tracing::warn!(%error, count, "UDP {what} failed");
        }
    }
}

/// The kernel's UDP socket, in the tokio runtime on which it was bound.
#[derive(Debug)]
pub(crate) struct KernelSocket {
    io: UdpSocket,
    state: UdpSocketState,
    offload: bool,
    mtu: u16,
    warned: AtomicBool,
    errors: Arc<SocketErrors>,
}

impl KernelSocket {
    /// Binds on the current tokio runtime. IPv6 sockets take IPv4 peers as well.
    pub(crate) fn bind(
        addr: SocketAddr,
        config: &QuicConfig,
        errors: Arc<SocketErrors>,
    ) -> io::Result<Arc<Self>> {
        let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
        if addr.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.bind(&addr.into())?;
        grow_buffers(&socket, usize::try_from(config.socket_buffer.0).unwrap_or(usize::MAX));
        let state = UdpSocketState::new((&socket).into())?;
        let io = UdpSocket::from_std(socket.into())?;
        let (offload, mtu) = (config.segmentation_offload, config.mtu_max);
        Ok(Arc::new(Self { io, state, offload, mtu, warned: AtomicBool::new(false), errors }))
    }

    /// QUIC recovers from a datagram that was not sent as from one that was lost.
    fn send_failed(&self, transmit: &Transmit<'_>, error: &io::Error) {
        // Probes for larger packets are meant to fail where the path has no room for them.
        let probe = transmit.segment_size.is_none() && Errno::from_io_error(error) == Some(Errno::MSGSIZE);
        if !probe {
            SocketErrors::count(&self.errors.send, "send", error);
        }
    }
}

impl AsyncUdpSocket for KernelSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(WritePoller { socket: self, waiting: None })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.io.try_io(Interest::WRITABLE, || match self.state.try_send((&self.io).into(), transmit) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                self.send_failed(transmit, &error);
                Ok(())
            }
            sent => sent,
        })
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut failures = 0;
        loop {
            ready!(self.io.poll_recv_ready(cx))?;
            let receive = || self.state.recv((&self.io).into(), buffers, meta);
            match self.io.try_io(Interest::READABLE, receive) {
                Ok(messages) => return Poll::Ready(Ok(messages)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    SocketErrors::count(&self.errors.receive, "receive", &error);
                    failures += 1;
                    if failures == RECEIVE_ERRORS_MAX {
                        return Poll::Ready(Err(error));
                    }
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        if !self.offload {
            return 1;
        }
        // One from the start, or since a driver refused: it is asked for again and again.
        let offered = self.state.max_gso_segments();
        if offered == 1 && !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!("no UDP segmentation offload here: sending costs about four times the CPU");
        }
        segments_max(self.mtu, offered)
    }

    fn max_receive_segments(&self) -> usize {
        // Sizes the receive buffers: one message of the kernel each, and no more than that.
        self.state.gro_segments().min(RECEIVE_MAX.div_ceil(usize::from(self.mtu)))
    }

    fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }
}

/// Waits until the kernel takes datagrams again.
struct WritePoller {
    socket: Arc<KernelSocket>,
    waiting: Option<Pin<Box<dyn Future<Output = io::Result<()>> + Send + Sync>>>,
}

impl UdpPoller for WritePoller {
    fn poll_writable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Asked before every send: allocate only to wait.
        if self.waiting.is_none() && self.socket.io.try_io(Interest::WRITABLE, || Ok(())).is_ok() {
            return Poll::Ready(Ok(()));
        }
        let socket = Arc::clone(&self.socket);
        let wait = || -> Pin<Box<dyn Future<Output = io::Result<()>> + Send + Sync>> {
            Box::pin(async move { socket.io.writable().await })
        };
        let outcome = ready!(self.waiting.get_or_insert_with(wait).as_mut().poll(cx));
        self.waiting = None;
        Poll::Ready(outcome)
    }
}

impl fmt::Debug for WritePoller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WritePoller").field("waiting", &self.waiting.is_some()).finish_non_exhaustive()
    }
}

/// Asks for larger kernel buffers; what the kernel gives is logged, and never an error.
fn grow_buffers(socket: &Socket, bytes: usize) {
    let asked = socket.set_recv_buffer_size(bytes).and_then(|()| socket.set_send_buffer_size(bytes));
    let (receive, send) = (socket.recv_buffer_size(), socket.send_buffer_size());
    tracing::debug!(?asked, ?receive, ?send, bytes, "socket buffers");
}
