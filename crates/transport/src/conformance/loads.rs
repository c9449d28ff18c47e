//! Facts that need many streams or many bytes.

use bytes::Bytes;

use super::content::Content;
use super::join::{join, join_all};
use super::{Broken, Linked, Pair, Verdict, ensure_eq};
use crate::{BoxFuture, Connection, RecvStreamExt, SendStream, SendStreamExt};

/// Streams per direction that run at once. A sane limit on open streams may be lower: then some
/// wait for their turn.
const SIDE_BY_SIDE: u8 = 40;
/// Bytes per stream when many run at once.
const EACH: usize = 50_000;
/// Streams one after the other: more than any limit on open streams.
const ONE_AFTER_THE_OTHER: u32 = 2_000;
/// What is left unread in a full stream: more than a stream's window should be.
const UNREAD: usize = 6 << 20;
/// A large transfer, per direction.
const LARGE: usize = 8 << 20;

/// Opens a stream that says its number first.
async fn numbered(from: &dyn Connection, number: u8) -> Result<Box<dyn SendStream>, Broken> {
    let mut send = from.open_uni().await?;
    send.write_all(Bytes::copy_from_slice(&[number])).await?;
    Ok(send)
}

async fn send_numbered(from: &dyn Connection, number: u8) -> Verdict {
    let mut send = numbered(from, number).await?;
    send.set_priority(i32::from(number % 3));
    Content::new(u64::from(number), EACH).send(&mut *send, 4_000).await
}

async fn receive_numbered(at: &dyn Connection) -> Verdict {
    let mut recv = at.accept_uni().await?;
    let first = recv.read(1).await?.ok_or_else(|| Broken::new("a numbered stream is empty"))?;
    let content = Content::new(u64::from(first[0]), EACH);
    content.expect(&mut *recv, 3_000).await
}

pub(super) async fn streams_run_side_by_side(pair: Pair) -> Verdict {
    let Linked { near, far, pair: _pair } = pair.connect().await?;
    let mut all: Vec<BoxFuture<'_, Verdict>> = Vec::new();
    for number in 0..SIDE_BY_SIDE {
        all.push(Box::pin(send_numbered(&*near, number)));
        all.push(Box::pin(send_numbered(&*far, number)));
        all.push(Box::pin(receive_numbered(&*near)));
        all.push(Box::pin(receive_numbered(&*far)));
    }
    join_all(all).await
}

pub(super) async fn finished_streams_make_room_for_new_ones(pair: Pair) -> Verdict {
    let Linked { near, far, pair: _pair } = pair.connect().await?;
    let send = async {
        for number in 0..ONE_AFTER_THE_OTHER {
            let mut send = near.open_uni().await?;
            send.write_all(Bytes::copy_from_slice(&number.to_be_bytes())).await?;
            send.finish()?;
        }
        Ok::<(), Broken>(())
    };
    let receive = async {
        let mut sum = 0u64;
        for _ in 0..ONE_AFTER_THE_OTHER {
            let mut recv = far.accept_uni().await?;
            let mut number = Vec::new();
            while let Some(bytes) = recv.read(4).await? {
                number.extend_from_slice(&bytes);
            }
            let number = <[u8; 4]>::try_from(number.as_slice());
            sum += u64::from(u32::from_be_bytes(number.map_err(|_| Broken::new("a stream lost bytes"))?));
        }
        Ok::<u64, Broken>(sum)
    };
    let (sent, received) = join(send, receive).await;
    sent?;
    let wanted = u64::from(ONE_AFTER_THE_OTHER) * u64::from(ONE_AFTER_THE_OTHER - 1) / 2;
    ensure_eq("the sum of all numbers", received?, wanted)
}

pub(super) async fn a_full_stream_does_not_hold_up_others(pair: Pair) -> Verdict {
    let linked = pair.connect().await?;
    let (mut full, mut unread) = linked.uni(b"x").await?;
    let fill = Content::new(1, UNREAD).send(&mut *full, 65_536);
    let others = async {
        // Nobody reads `unread` before these are through.
        for number in 2..6 {
            let (sent, received) =
                join(send_numbered(&*linked.near, number), receive_numbered(&*linked.far)).await;
            sent.and(received)?;
        }
        ensure_eq("the first byte", unread.read(1).await?, Some(Bytes::from_static(b"x")))?;
        Content::new(1, UNREAD).expect(&mut *unread, 65_536).await
    };
    let (filled, through) = join(fill, others).await;
    filled.and(through)
}

pub(super) async fn large_transfers_are_equal_in_both_directions(pair: Pair) -> Verdict {
    let linked = pair.connect().await?;
    let ((mut near_send, mut near_recv), (mut far_send, mut far_recv)) = linked.bi(b"x").await?;
    ensure_eq("the first byte", far_recv.read(1).await?, Some(Bytes::from_static(b"x")))?;
    join_all::<Broken>(vec![
        Box::pin(Content::new(1, LARGE).send(&mut *near_send, 65_536)),
        Box::pin(Content::new(2, LARGE).send(&mut *far_send, 65_536)),
        Box::pin(Content::new(1, LARGE).expect(&mut *far_recv, 65_536)),
        Box::pin(Content::new(2, LARGE).expect(&mut *near_recv, 65_536)),
    ])
    .await
}
