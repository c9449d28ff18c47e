//! Facts about one stream.

use bytes::Bytes;

use super::content::Content;
use super::join::{abandon, join};
use super::{Broken, Pair, Verdict, ensure, ensure_eq};
use crate::{RecvStream, RecvStreamExt, SendStream, SendStreamExt, StreamError};

/// More than one window of any sensible implementation's first flight, little enough to be quick.
const SOME: usize = 300_000;

pub(super) async fn bytes_arrive_whole_and_in_order(pair: Pair) -> Verdict {
    let linked = pair.connect().await?;
    for piece in [1, 1_000, 65_536, SOME] {
        // Single bytes are many writes: fewer of them are enough.
        let len = if piece == 1 { 5_000 } else { SOME };
        let mut send = linked.near.open_uni().await?;
        let receive = async {
            let mut recv = linked.far.accept_uni().await?;
            Content::new(piece as u64, len).expect(&mut *recv, 10_000).await
        };
        let (sent, received) = join(Content::new(piece as u64, len).send(&mut *send, piece), receive).await;
        sent.and(received)?;
    }
    Ok(())
}

pub(super) async fn both_directions_are_independent(pair: Pair) -> Verdict {
    let linked = pair.connect().await?;
    let (mut near, mut far) = linked.bi(b"?").await?;
    ensure_eq("the request", far.1.read(9).await?, Some(Bytes::from_static(b"?")))?;
    // The answer flows although the request is not finished, and ends before it.
    let answer = Content::new(1, SOME);
    let read = Content::new(1, SOME).expect(&mut *near.1, 65_536);
    let (sent, received) = join(answer.send(&mut *far.0, 65_536), read).await;
    sent.and(received)?;
    near.0.write_all(Bytes::from_static(b"!")).await?;
    near.0.finish()?;
    ensure_eq("the rest of the request", far.1.read(9).await?, Some(Bytes::from_static(b"!")))?;
    ensure_eq("the end of the request", far.1.read(9).await?, None)
}

pub(super) async fn a_read_returns_at_most_what_was_asked(pair: Pair) -> Verdict {
    let linked = pair.connect().await?;
    let (mut send, mut recv) = linked.uni(b"0123456789").await?;
    send.finish()?;
    let mut all = Vec::new();
    while let Some(bytes) = recv.read(3).await? {
        ensure((1..=3).contains(&bytes.len()), || format!("read(3) returned {} bytes", bytes.len()))?;
        all.extend_from_slice(&bytes);
    }
    ensure_eq("all reads together", all, b"0123456789".to_vec())
}

pub(super) async fn an_abandoned_read_loses_nothing(pair: Pair) -> Verdict {
    let linked = pair.connect().await?;
    let (mut send, mut recv) = linked.uni(b"a").await?;
    ensure_eq("the first byte", recv.read(9).await?, Some(Bytes::from_static(b"a")))?;
    let early = abandon(recv.read(9)).await;
    ensure(early.is_none(), || format!("a read before the write gave {early:?}"))?;
    let (written, read) = join(send.write_all(Bytes::from_static(b"b")), recv.read(9)).await;
    written?;
    ensure_eq("the read after the abandoned one", read?, Some(Bytes::from_static(b"b")))
}

pub(super) async fn finish_delivers_everything_before_the_end(pair: Pair) -> Verdict {
    let linked = pair.connect().await?;
    let (mut send, mut recv) = linked.uni(b"all of it").await?;
    send.finish()?;
    // Finished is finished: dropping the handle takes nothing back.
    drop(send);
    let mut all = Vec::new();
    while let Some(bytes) = recv.read(4).await? {
        all.extend_from_slice(&bytes);
    }
    ensure_eq("what arrived", all, b"all of it".to_vec())?;
    ensure_eq("a read after the end", recv.read(4).await?, None)
}

pub(super) async fn an_empty_stream_ends(pair: Pair) -> Verdict {
    let linked = pair.connect().await?;
    let mut send = linked.near.open_uni().await?;
    send.finish()?;
    let mut recv = linked.far.accept_uni().await?;
    ensure_eq("the read of an empty stream", recv.read(1).await?, None)
}

pub(super) async fn nothing_follows_finish(pair: Pair) -> Verdict {
    let linked = pair.connect().await?;
    let (mut send, _recv) = linked.uni(b"x").await?;
    send.finish()?;
    let written = send.write_all(Bytes::from_static(b"y")).await;
    ensure_eq("a write after finish", written, Err(StreamError::Closed))?;
    ensure_eq("a second finish", send.finish(), Err(StreamError::Closed))
}

/// Reads until the stream fails. Data may come before the error, the end may not.
async fn read_error(recv: &mut dyn RecvStream) -> Result<StreamError, Broken> {
    loop {
        match recv.read(1024).await {
            Ok(Some(_)) => {}
            Ok(None) => return Err(Broken::new("a stream that was not finished looks whole to its reader")),
            Err(error) => return Ok(error),
        }
    }
}

pub(super) async fn a_reset_reaches_the_reader(pair: Pair) -> Verdict {
    let linked = pair.connect().await?;
    let (mut send, mut recv) = linked.uni(b"half").await?;
    send.reset(17);
    ensure_eq("the reader", read_error(&mut *recv).await?, StreamError::Reset(17))?;
    ensure_eq("the next read", recv.read(1).await, Err(StreamError::Reset(17)))?;
    let written = send.write_all(Bytes::from_static(b"y")).await;
    ensure_eq("a write after reset", written, Err(StreamError::Closed))
}

pub(super) async fn a_sender_dropped_unfinished_resets(pair: Pair) -> Verdict {
    let linked = pair.connect().await?;
    let (send, mut recv) = linked.uni(b"half").await?;
    drop(send);
    ensure_eq("the reader", read_error(&mut *recv).await?, StreamError::Reset(0))
}

/// Writes until the stream fails.
async fn write_error(send: &mut dyn SendStream) -> StreamError {
    loop {
        if let Err(error) = send.write_all(Bytes::from_static(&[7; 1024])).await {
            return error;
        }
    }
}

pub(super) async fn a_stop_reaches_the_writer(pair: Pair) -> Verdict {
    let linked = pair.connect().await?;
    let (mut send, mut recv) = linked.uni(b"x").await?;
    recv.stop(23);
    ensure_eq("the writer", write_error(&mut *send).await, StreamError::Stopped(23))?;
    ensure_eq("stopped", send.stopped().await, Ok(Some(23)))?;
    ensure_eq("a read after stop", recv.read(1).await, Err(StreamError::Closed))
}

pub(super) async fn a_reader_dropped_early_stops_the_writer(pair: Pair) -> Verdict {
    let linked = pair.connect().await?;
    let (mut send, recv) = linked.uni(b"x").await?;
    let (stopped, ()) = join(send.stopped(), async { drop(recv) }).await;
    ensure_eq("stopped", stopped, Ok(Some(0)))?;
    ensure_eq("the writer", write_error(&mut *send).await, StreamError::Stopped(0))
}

pub(super) async fn stopped_tells_that_all_was_received(pair: Pair) -> Verdict {
    let linked = pair.connect().await?;
    let (mut send, mut recv) = linked.uni(b"x").await?;
    ensure_eq("the first byte", recv.read(1).await?, Some(Bytes::from_static(b"x")))?;
    let deliver = async {
        Content::new(3, SOME).send(&mut *send, 65_536).await?;
        Ok::<_, Broken>(send.stopped().await?)
    };
    let (stopped, received) = join(deliver, Content::new(3, SOME).expect(&mut *recv, 65_536)).await;
    received?;
    ensure_eq("stopped after everything was read", stopped?, None)
}
