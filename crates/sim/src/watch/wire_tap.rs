//! A transport that counts what passes, between an engine and its network.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use peerstream_shape::Direction;
use peerstream_transport::access::{SharedAccess, Verb};
use peerstream_transport::{
    BiStream, BoxFuture, ConnectError, Connection, ConnectionError, Lane, PeerIdentity, RecvStream,
    SendStream, StreamError, Target, Transport,
};
use peerstream_types::{DatasetName, NodeId};
use peerstream_wire::StreamKind;

use super::books::SharedBooks;
use super::control_tap::Control;
use super::meter::{Meter, Piece};

/// What the taps of a node know.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) node: NodeId,
    pub(super) access: SharedAccess,
    pub(super) datasets: Vec<DatasetName>,
    pub(super) books: SharedBooks,
}

impl Place {
    /// Whether the node's own rules allow the peer this in any dataset.
    fn permits(&self, peer: &PeerIdentity, verb: Verb) -> bool {
        let rules = self.access.current();
        self.datasets.iter().any(|dataset| rules.permits(peer, dataset, verb).is_ok())
    }

    fn sent(&self, peer: &PeerIdentity, piece: &Piece) {
        let verb = if piece.kind == Some(StreamKind::Inventory) { Verb::List } else { Verb::Fetch };
        let is_permitted = self.permits(peer, verb);
        let mut books = self.books.lock();
        books.moved(&self.node, &peer.node, Direction::Send, piece);
        let denied = books.node(&self.node).denied.entry((peer.node.clone(), verb)).or_default();
        denied.was_permitted |= is_permitted;
        denied.bytes += if is_permitted { 0 } else { piece.payload };
    }

    fn failed<T, E: fmt::Debug>(&self, of: &str, result: Result<T, E>) -> Result<T, E> {
        result.inspect_err(|error| self.books.error(of, error))
    }

    /// Counts the error of a stream, and that of its connection if that is the reason.
    fn polled<T>(&self, poll: Poll<Result<T, StreamError>>) -> Poll<Result<T, StreamError>> {
        if let Poll::Ready(Err(error)) = &poll {
            self.books.error("StreamError", error);
            if let StreamError::Connection(reason) = error {
                self.books.error("ConnectionError", reason);
            }
        }
        poll
    }
}

/// A transport that counts.
#[derive(Debug)]
pub(super) struct TapTransport {
    pub(super) inner: Arc<dyn Transport>,
    pub(super) place: Place,
}

impl Transport for TapTransport {
    fn connect(
        &self,
        target: &Target,
        lane: Lane,
    ) -> BoxFuture<'static, Result<Arc<dyn Connection>, ConnectError>> {
        let (dial, place) = (self.inner.connect(target, lane), self.place.clone());
        Box::pin(async move {
            let inner = place.failed("ConnectError", dial.await)?;
            Ok(Arc::new(TapConnection { inner, place }) as Arc<dyn Connection>)
        })
    }

    fn accept(&self) -> BoxFuture<'_, Option<Arc<dyn Connection>>> {
        Box::pin(async move {
            let inner = self.inner.accept().await?;
            Some(Arc::new(TapConnection { inner, place: self.place.clone() }) as Arc<dyn Connection>)
        })
    }

    fn local_addr(&self) -> SocketAddr {
        self.inner.local_addr()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.inner.close()
    }
}

#[derive(Debug)]
struct TapConnection {
    inner: Arc<dyn Connection>,
    place: Place,
}

impl TapConnection {
    fn result<T>(&self, result: Result<T, ConnectionError>) -> Result<T, ConnectionError> {
        self.place.failed("ConnectionError", result)
    }

    /// Both directions of a stream, with one memory of what its messages said.
    fn bi(&self, (send, recv): BiStream, is_opener: bool) -> BiStream {
        let control = Arc::new(Mutex::new(Control::new(is_opener)));
        let peer = self.inner.peer();
        let tap =
            |control| Tap { place: self.place.clone(), count: Count::Control(peer.node.clone(), control) };
        let send = TapSend { inner: send, tap: tap(control.clone()) };
        (Box::new(send), Box::new(TapRecv { inner: recv, tap: tap(control) }))
    }

    fn data(&self) -> Tap {
        let count = Count::Data(self.inner.peer().clone(), Box::default());
        Tap { place: self.place.clone(), count }
    }
}

impl Connection for TapConnection {
    fn peer(&self) -> &PeerIdentity {
        self.inner.peer()
    }

    fn remote_addr(&self) -> SocketAddr {
        self.inner.remote_addr()
    }

    fn open_bi(&self) -> BoxFuture<'_, Result<BiStream, ConnectionError>> {
        Box::pin(async move { Ok(self.bi(self.result(self.inner.open_bi().await)?, true)) })
    }

    fn open_uni(&self) -> BoxFuture<'_, Result<Box<dyn SendStream>, ConnectionError>> {
        Box::pin(async move {
            let inner = self.result(self.inner.open_uni().await)?;
            Ok(Box::new(TapSend { inner, tap: self.data() }) as Box<dyn SendStream>)
        })
    }

    fn accept_bi(&self) -> BoxFuture<'_, Result<BiStream, ConnectionError>> {
        Box::pin(async move { Ok(self.bi(self.result(self.inner.accept_bi().await)?, false)) })
    }

    fn accept_uni(&self) -> BoxFuture<'_, Result<Box<dyn RecvStream>, ConnectionError>> {
        Box::pin(async move {
            let inner = self.result(self.inner.accept_uni().await)?;
            Ok(Box::new(TapRecv { inner, tap: self.data() }) as Box<dyn RecvStream>)
        })
    }

    fn close(&self, code: u32, reason: &str) {
        self.inner.close(code, reason);
    }

    fn closed(&self) -> BoxFuture<'_, ConnectionError> {
        Box::pin(async move {
            let error = self.inner.closed().await;
            self.place.books.error("ConnectionError", &error);
            error
        })
    }

    fn close_reason(&self) -> Option<ConnectionError> {
        self.inner.close_reason()
    }

    fn rtt(&self) -> Duration {
        self.inner.rtt()
    }
}

/// What is counted of a stream.
enum Count {
    Data(PeerIdentity, Box<Meter>),
    Control(NodeId, Arc<Mutex<Control>>),
}

struct Tap {
    place: Place,
    count: Count,
}

impl Tap {
    fn took(&mut self, bytes: &[u8], direction: Direction) {
        match &mut self.count {
            Count::Data(peer, meter) => {
                let piece = meter.take(bytes);
                if direction == Direction::Send {
                    self.place.sent(peer, &piece);
                } else {
                    self.place.books.lock().moved(&self.place.node, &peer.node, direction, &piece);
                }
            }
            Count::Control(peer, control) => {
                let mut control = control.lock().unwrap_or_else(PoisonError::into_inner);
                let mut books = self.place.books.lock();
                let offers = control.took(bytes, direction, &mut books.reach);
                if direction == Direction::Receive {
                    books.offered(&self.place.node, peer, &offers);
                }
            }
        }
    }
}

struct TapSend {
    inner: Box<dyn SendStream>,
    tap: Tap,
}

impl SendStream for TapSend {
    fn poll_write(&mut self, cx: &mut Context<'_>, chunk: &mut Bytes) -> Poll<Result<(), StreamError>> {
        let before = chunk.clone();
        let poll = self.inner.poll_write(cx, chunk);
        let written = before.len() - chunk.len();
        if written > 0 {
            self.tap.took(&before[..written], Direction::Send);
        }
        self.tap.place.polled(poll)
    }

    fn finish(&mut self) -> Result<(), StreamError> {
        self.inner.finish()
    }

    fn reset(&mut self, code: u32) {
        self.inner.reset(code);
    }

    fn set_priority(&mut self, priority: i32) {
        self.inner.set_priority(priority);
    }

    fn poll_stopped(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<u32>, StreamError>> {
        let poll = self.inner.poll_stopped(cx);
        self.tap.place.polled(poll)
    }
}

struct TapRecv {
    inner: Box<dyn RecvStream>,
    tap: Tap,
}

impl RecvStream for TapRecv {
    fn poll_read(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Result<Option<Bytes>, StreamError>> {
        let poll = self.inner.poll_read(cx, max);
        if let Poll::Ready(Ok(Some(bytes))) = &poll {
            self.tap.took(bytes, Direction::Receive);
        }
        self.tap.place.polled(poll)
    }

    fn stop(&mut self, code: u32) {
        self.inner.stop(code);
    }
}
