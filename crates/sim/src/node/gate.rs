//! A transport that nobody hears and nobody hears of once its process has ended.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use peerstream_transport::{
    BiStream, BoxFuture, ConnectError, Connection, ConnectionError, Lane, PeerIdentity, RecvStream,
    SendStream, StreamError, Target, Transport,
};

use super::life::Life;

/// A transport of a process.
#[derive(Debug)]
pub(crate) struct GatedTransport {
    inner: Arc<dyn Transport>,
    life: Life,
}

impl GatedTransport {
    pub(crate) fn new(inner: Arc<dyn Transport>, life: Life) -> Self {
        Self { inner, life }
    }
}

impl Transport for GatedTransport {
    fn connect(
        &self,
        target: &Target,
        lane: Lane,
    ) -> BoxFuture<'static, Result<Arc<dyn Connection>, ConnectError>> {
        let (dial, life) = (self.inner.connect(target, lane), self.life.clone());
        Box::pin(async move {
            let inner = life.through(dial).await?;
            Ok(Arc::new(GatedConnection { inner, life }) as Arc<dyn Connection>)
        })
    }

    fn accept(&self) -> BoxFuture<'_, Option<Arc<dyn Connection>>> {
        Box::pin(async {
            let inner = self.life.through(self.inner.accept()).await?;
            Some(Arc::new(GatedConnection { inner, life: self.life.clone() }) as Arc<dyn Connection>)
        })
    }

    fn local_addr(&self) -> SocketAddr {
        self.inner.local_addr()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.life.through(self.inner.close()))
    }
}

#[derive(Debug)]
struct GatedConnection {
    inner: Arc<dyn Connection>,
    life: Life,
}

impl GatedConnection {
    fn send(&self, inner: Box<dyn SendStream>) -> Box<dyn SendStream> {
        Box::new(GatedStream { inner, life: self.life.clone() })
    }

    fn recv(&self, inner: Box<dyn RecvStream>) -> Box<dyn RecvStream> {
        Box::new(GatedStream { inner, life: self.life.clone() })
    }

    fn both(&self, (send, recv): BiStream) -> BiStream {
        (self.send(send), self.recv(recv))
    }
}

impl Connection for GatedConnection {
    fn peer(&self) -> &PeerIdentity {
        self.inner.peer()
    }

    fn remote_addr(&self) -> SocketAddr {
        self.inner.remote_addr()
    }

    fn open_bi(&self) -> BoxFuture<'_, Result<BiStream, ConnectionError>> {
        Box::pin(async { Ok(self.both(self.life.through(self.inner.open_bi()).await?)) })
    }

    fn open_uni(&self) -> BoxFuture<'_, Result<Box<dyn SendStream>, ConnectionError>> {
        Box::pin(async { Ok(self.send(self.life.through(self.inner.open_uni()).await?)) })
    }

    fn accept_bi(&self) -> BoxFuture<'_, Result<BiStream, ConnectionError>> {
        Box::pin(async { Ok(self.both(self.life.through(self.inner.accept_bi()).await?)) })
    }

    fn accept_uni(&self) -> BoxFuture<'_, Result<Box<dyn RecvStream>, ConnectionError>> {
        Box::pin(async { Ok(self.recv(self.life.through(self.inner.accept_uni()).await?)) })
    }

    fn close(&self, code: u32, reason: &str) {
        if !self.life.is_over() {
            self.inner.close(code, reason);
        }
    }

    fn closed(&self) -> BoxFuture<'_, ConnectionError> {
        Box::pin(self.life.through(self.inner.closed()))
    }

    fn close_reason(&self) -> Option<ConnectionError> {
        self.inner.close_reason()
    }

    fn rtt(&self) -> Duration {
        self.inner.rtt()
    }
}

/// Either half of a stream.
struct GatedStream<S: ?Sized> {
    life: Life,
    inner: Box<S>,
}

impl SendStream for GatedStream<dyn SendStream> {
    fn poll_write(&mut self, cx: &mut Context<'_>, chunk: &mut Bytes) -> Poll<Result<(), StreamError>> {
        match self.life.is_over() {
            true => Poll::Pending,
            false => self.life.answer(self.inner.poll_write(cx, chunk)),
        }
    }

    fn finish(&mut self) -> Result<(), StreamError> {
        if self.life.is_over() { Ok(()) } else { self.inner.finish() }
    }

    fn reset(&mut self, code: u32) {
        if !self.life.is_over() {
            self.inner.reset(code);
        }
    }

    fn set_priority(&mut self, priority: i32) {
        self.inner.set_priority(priority);
    }

    fn poll_stopped(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<u32>, StreamError>> {
        match self.life.is_over() {
            true => Poll::Pending,
            false => self.life.answer(self.inner.poll_stopped(cx)),
        }
    }
}

impl RecvStream for GatedStream<dyn RecvStream> {
    fn poll_read(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Result<Option<Bytes>, StreamError>> {
        match self.life.is_over() {
            true => Poll::Pending,
            false => self.life.answer(self.inner.poll_read(cx, max)),
        }
    }

    fn stop(&mut self, code: u32) {
        if !self.life.is_over() {
            self.inner.stop(code);
        }
    }
}
