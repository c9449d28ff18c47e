//! Facts about one connection: how it ends, and how its streams are accepted.

use bytes::Bytes;

use super::join::{abandon, join};
use super::{Linked, Pair, Verdict, ensure, ensure_eq};
use crate::{ConnectionError, RecvStream, RecvStreamExt, SendStreamExt, StreamError};

fn by_peer(code: u32, reason: &str) -> ConnectionError {
    ConnectionError::ClosedByPeer { code, reason: reason.into() }
}

pub(super) async fn close_tells_the_peer_code_and_reason(pair: Pair) -> Verdict {
    let Linked { near, far, pair: _pair } = pair.connect().await?;
    ensure_eq("the close reason of an open connection", near.close_reason(), None)?;
    ensure_eq("the close reason of an open connection", far.close_reason(), None)?;
    let ((), told) = join(async { near.close(42, "the test is over") }, far.closed()).await;
    ensure_eq("the peer", told, by_peer(42, "the test is over"))?;
    ensure_eq("the peer's close reason", far.close_reason(), Some(by_peer(42, "the test is over")))?;
    ensure_eq("the closer", near.closed().await, ConnectionError::ClosedLocally)?;
    ensure_eq("the closer's close reason", near.close_reason(), Some(ConnectionError::ClosedLocally))
}

pub(super) async fn a_second_close_changes_nothing(pair: Pair) -> Verdict {
    let Linked { near, far, pair: _pair } = pair.connect().await?;
    near.close(1, "first");
    near.close(2, "second");
    ensure_eq("the peer", far.closed().await, by_peer(1, "first"))?;
    far.close(3, "third");
    ensure_eq("the peer after its own close", far.closed().await, by_peer(1, "first"))?;
    ensure_eq("the closer", near.closed().await, ConnectionError::ClosedLocally)
}

pub(super) async fn close_ends_open_streams_on_both_sides(pair: Pair) -> Verdict {
    let linked = pair.connect().await?;
    let (mut near, mut far) = linked.bi(b"x").await?;
    ensure_eq("the first byte", far.1.read(1).await?, Some(Bytes::from_static(b"x")))?;
    let (ended, ()) = join(far.1.read(1), async { linked.near.close(5, "gone") }).await;
    ensure_eq("a read at the peer", ended, Err(StreamError::Connection(by_peer(5, "gone"))))?;
    let ended = far.0.write_all(Bytes::from_static(b"y")).await;
    ensure_eq("a write at the peer", ended, Err(StreamError::Connection(by_peer(5, "gone"))))?;
    let locally = StreamError::Connection(ConnectionError::ClosedLocally);
    ensure_eq("a read at the closer", near.1.read(1).await, Err(locally.clone()))?;
    let ended = near.0.write_all(Bytes::from_static(b"z")).await;
    ensure_eq("a write at the closer", ended, Err(locally))
}

pub(super) async fn close_wakes_whoever_waits_for_streams(pair: Pair) -> Verdict {
    let Linked { near, far, pair: _pair } = pair.connect().await?;
    let both = join(far.accept_bi(), far.accept_uni());
    let ((bi, uni), ()) = join(both, async { near.close(6, "gone") }).await;
    ensure_eq("accept_bi at the peer", bi.err(), Some(by_peer(6, "gone")))?;
    ensure_eq("accept_uni at the peer", uni.err(), Some(by_peer(6, "gone")))?;
    ensure_eq("open_bi at the peer", far.open_bi().await.err(), Some(by_peer(6, "gone")))?;
    ensure_eq("open_uni at the peer", far.open_uni().await.err(), Some(by_peer(6, "gone")))?;
    let locally = Some(ConnectionError::ClosedLocally);
    ensure_eq("accept_bi at the closer", near.accept_bi().await.err(), locally.clone())?;
    ensure_eq("open_uni at the closer", near.open_uni().await.err(), locally)
}

pub(super) async fn an_abandoned_accept_loses_no_stream(pair: Pair) -> Verdict {
    let linked = pair.connect().await?;
    let early = abandon(linked.far.accept_uni()).await;
    ensure(early.is_none(), || "a stream was accepted before one was opened".into())?;
    let (mut send, mut recv) = linked.uni(b"whole").await?;
    send.finish()?;
    ensure_eq("the stream", read_to_end(&mut *recv).await?, b"whole".to_vec())
}

async fn read_to_end(stream: &mut dyn RecvStream) -> Result<Vec<u8>, StreamError> {
    let mut all = Vec::new();
    while let Some(bytes) = stream.read(1024).await? {
        all.extend_from_slice(&bytes);
    }
    Ok(all)
}
