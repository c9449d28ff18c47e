//! A thread of its own for an endpoint, with a single-threaded runtime on it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, TokioRuntime};
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

/// The name of the thread, for profilers and `top -H`.
const NAME: &str = "quic";

/// A running thread, which ends when this is dropped, on whatever thread that is: nobody waits.
#[derive(Debug)]
pub(crate) struct EndpointThread {
    pub(crate) handle: Handle,
    /// Cancelled when nothing runs on the thread any more.
    pub(crate) ended: CancellationToken,
    _stop: DropGuard,
}

impl EndpointThread {
    /// Starts the thread.
    pub(crate) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (stop, ended) = (CancellationToken::new(), CancellationToken::new());
        let (handle, guard) = (runtime.handle().clone(), stop.clone().drop_guard());
        let thread = Self { handle, ended: ended.clone(), _stop: guard };
        std::thread::Builder::new().name(NAME.to_owned()).spawn(move || {
            // Dropped after the runtime, and also if the thread panics.
            let _ended = ended.drop_guard();
            runtime.block_on(stop.cancelled());
            drop(runtime);
        })?;
        Ok(thread)
    }
}

/// Puts what QUIC below us spawns on one runtime, whosever thread it is spawned from.
#[derive(Debug)]
pub(crate) struct HandleRuntime(pub(crate) Handle);

impl Runtime for HandleRuntime {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        let _inside = self.0.enter();
        TokioRuntime.new_timer(at)
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.0.spawn(future);
    }

    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let _inside = self.0.enter();
        TokioRuntime.wrap_udp_socket(socket)
    }

    fn now(&self) -> Instant {
        TokioRuntime.now()
    }
}
