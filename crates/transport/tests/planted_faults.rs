//! The conformance suite finds a broken transport: each planted fault fails the fact that is about it.

#![expect(clippy::unwrap_used, reason = "outside of test functions clippy does not see that this is a test")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use peerstream_transport::conformance::{FACTS, Pair};
use peerstream_transport::memory::MemoryNetwork;
use peerstream_transport::{
    BiStream, BoxFuture, ConnectError, Connection, ConnectionError, Lane, PeerIdentity, RecvStream,
    SendStream, StreamError, Target, Transport,
};
use peerstream_types::{ClusterName, NodeId};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// What QUIC libraries do by default: a truncated stream looks whole.
    FinishesOnDrop,
    ForgetsResetCode,
    LosesAByte,
    ForgetsReason,
    AnswersForAnybody,
}

#[derive(Debug)]
struct Faulty<T: ?Sized> {
    fault: Fault,
    inner: Arc<T>,
}

struct FaultySend {
    fault: Fault,
    inner: Box<dyn SendStream>,
    written: u64,
}

impl SendStream for FaultySend {
    fn poll_write(&mut self, cx: &mut Context<'_>, chunk: &mut Bytes) -> Poll<Result<(), StreamError>> {
        self.written += 1;
        if self.fault == Fault::LosesAByte && self.written == 3 && chunk.len() > 1 {
            let _lost = chunk.split_to(1);
        }
        self.inner.poll_write(cx, chunk)
    }

    fn finish(&mut self) -> Result<(), StreamError> {
        self.inner.finish()
    }

    fn reset(&mut self, code: u32) {
        self.inner.reset(if self.fault == Fault::ForgetsResetCode { 0 } else { code });
    }

    fn set_priority(&mut self, priority: i32) {
        self.inner.set_priority(priority);
    }

    fn poll_stopped(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<u32>, StreamError>> {
        self.inner.poll_stopped(cx)
    }
}

impl Drop for FaultySend {
    fn drop(&mut self) {
        if self.fault == Fault::FinishesOnDrop {
            let _already_finished = self.inner.finish();
        }
    }
}

impl Connection for Faulty<dyn Connection> {
    fn peer(&self) -> &PeerIdentity {
        self.inner.peer()
    }

    fn remote_addr(&self) -> SocketAddr {
        self.inner.remote_addr()
    }

    fn open_bi(&self) -> BoxFuture<'_, Result<BiStream, ConnectionError>> {
        self.inner.open_bi()
    }

    fn open_uni(&self) -> BoxFuture<'_, Result<Box<dyn SendStream>, ConnectionError>> {
        Box::pin(async {
            let inner = self.inner.open_uni().await?;
            Ok(Box::new(FaultySend { fault: self.fault, inner, written: 0 }) as Box<dyn SendStream>)
        })
    }

    fn accept_bi(&self) -> BoxFuture<'_, Result<BiStream, ConnectionError>> {
        self.inner.accept_bi()
    }

    fn accept_uni(&self) -> BoxFuture<'_, Result<Box<dyn RecvStream>, ConnectionError>> {
        self.inner.accept_uni()
    }

    fn close(&self, code: u32, reason: &str) {
        self.inner.close(code, if self.fault == Fault::ForgetsReason { "" } else { reason });
    }

    fn closed(&self) -> BoxFuture<'_, ConnectionError> {
        self.inner.closed()
    }

    fn close_reason(&self) -> Option<ConnectionError> {
        self.inner.close_reason()
    }

    fn rtt(&self) -> Duration {
        self.inner.rtt()
    }
}

impl Transport for Faulty<dyn Transport> {
    fn connect(
        &self,
        target: &Target,
        lane: Lane,
    ) -> BoxFuture<'static, Result<Arc<dyn Connection>, ConnectError>> {
        let fault = self.fault;
        let node = target.node.clone().filter(|_| fault != Fault::AnswersForAnybody);
        let dialled = self.inner.connect(&Target { node, ..target.clone() }, lane);
        Box::pin(async move {
            let inner = dialled.await?;
            Ok(Arc::new(Faulty { fault, inner }) as Arc<dyn Connection>)
        })
    }

    fn accept(&self) -> BoxFuture<'_, Option<Arc<dyn Connection>>> {
        self.inner.accept()
    }

    fn local_addr(&self) -> SocketAddr {
        self.inner.local_addr()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.inner.close()
    }
}

fn pair(fault: Option<Fault>) -> Pair {
    let network = MemoryNetwork::new();
    let node = |id: &str, addr: &str| {
        let cluster = ClusterName::new("demo").unwrap();
        network.node(PeerIdentity { cluster, node: NodeId::new(id).unwrap() }, addr.parse().unwrap())
    };
    let (near, far) = (node("near", "10.0.0.1:7000"), node("far", "10.0.0.2:7000"));
    let (dialler_identity, acceptor_identity) = (near.identity().clone(), far.identity().clone());
    let mut dialler: Arc<dyn Transport> = Arc::new(near);
    if let Some(fault) = fault {
        dialler = Arc::new(Faulty { fault, inner: dialler });
    }
    Pair { dialler, dialler_identity, acceptor: Arc::new(far), acceptor_identity }
}

/// Whether a fact holds. The clock stands still while anything moves, so a time limit means that
/// everything waits.
async fn holds(name: &str, fault: Option<Fault>) -> bool {
    let fact = FACTS.iter().find(|fact| fact.name() == name).unwrap();
    let verdict = tokio::time::timeout(Duration::from_secs(1), fact.check(pair(fault))).await;
    matches!(verdict, Ok(Ok(())))
}

#[tokio::test(start_paused = true)]
async fn every_planted_fault_is_found() {
    let faults = [
        (Fault::FinishesOnDrop, "a_sender_dropped_unfinished_resets"),
        (Fault::ForgetsResetCode, "a_reset_reaches_the_reader"),
        (Fault::LosesAByte, "bytes_arrive_whole_and_in_order"),
        (Fault::ForgetsReason, "close_tells_the_peer_code_and_reason"),
        (Fault::AnswersForAnybody, "another_node_at_the_address_is_refused"),
    ];
    for (fault, fact) in faults {
        assert!(holds(fact, None).await, "{fact} does not hold even without a fault");
        assert!(!holds(fact, Some(fault)).await, "{fact} does not notice {fault:?}");
    }
}
