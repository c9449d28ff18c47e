//! Chaining values of an entry.

use bytes::{BufMut, BytesMut};
use peerstream_snapshot::Snapshot;
use peerstream_types::{ChunkIndex, ChunkRange, GROUP_CHUNKS, Ordinal};
use peerstream_wire::StreamKind;

use super::stream::Outgoing;
use super::{Serve, ServeError};

/// Writes the values of a range a group's worth at a time, 32 KiB, so that memory does not grow with
/// what is asked for.
pub(super) async fn serve(
    serve: &Serve,
    snapshot: &dyn Snapshot,
    ordinal: Ordinal,
    level: u8,
    range: ChunkRange,
) -> Result<(), ServeError> {
    let mut parts = parts_of(range);
    // What cannot be answered at all is refused before there is a stream.
    let first = snapshot.outline(ordinal, level, parts.next().unwrap_or(range)).await?;
    let mut out = Outgoing::open(serve, StreamKind::Outline).await?;
    let mut values = first;
    loop {
        let mut bytes = BytesMut::with_capacity(values.len() * 32);
        values.iter().for_each(|value| bytes.put_slice(&value.0));
        out.write(bytes.freeze()).await?;
        let Some(part) = parts.next() else { break };
        values = snapshot.outline(ordinal, level, part).await?;
    }
    out.finish()
}

fn parts_of(range: ChunkRange) -> impl Iterator<Item = ChunkRange> {
    (range.first.0..range.end()).step_by(GROUP_CHUNKS as usize).map(move |first| {
        let count = u32::try_from(range.end() - first).unwrap_or(u32::MAX).min(GROUP_CHUNKS);
        ChunkRange { first: ChunkIndex(first), count }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_range_cover_it_once() {
        for (first, count) in [(0, 1), (0, 1024), (5, 1025), (7, 4000), (0, 0), (u64::MAX - 3, 9)] {
            let range = ChunkRange { first: ChunkIndex(first), count };
            let parts: Vec<ChunkRange> = parts_of(range).collect();
            assert!(parts.iter().all(|part| (1..=GROUP_CHUNKS).contains(&part.count)));
            let covered = parts.iter().flat_map(|part| part.iter());
            assert!(covered.eq(range.iter()), "{range:?}");
        }
    }
}
