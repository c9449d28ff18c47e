//! Content: one record per chunk, a whole small entry being one chunk.

use bytes::{Bytes, BytesMut};
use peerstream_snapshot::{Snapshot, SourceError};
use peerstream_types::{ChunkIndex, ChunkRange, ChunkSize, Entry, Ordinal, Span};
use peerstream_wire::limits::REASON_LEN_MAX;
use peerstream_wire::{RecordHeader, RecordStatus, StreamKind, Text};

use super::stream::Outgoing;
use super::{Serve, ServeError, code_of};
use crate::session::Command;

/// Most entries looked up at once.
const ENTRIES_AT_ONCE: u32 = 256;
/// Records up to this size travel in one write with their header, copied; larger ones in two.
const JOIN_MAX: usize = 16 * 1024;

pub(super) async fn serve(serve: &Serve, snapshot: &dyn Snapshot, spans: &[Span]) -> Result<(), ServeError> {
    let size = snapshot.header().chunk_size;
    let mut out = Outgoing::open(serve, StreamKind::Records).await?;
    for span in spans {
        match *span {
            Span::Chunks { ordinal, range } => {
                let entry = snapshot.entries(ordinal, 1).await?;
                for entry in &entry {
                    chunks(serve, snapshot, &mut out, entry, size, range).await?;
                }
            }
            Span::Entries { first, count } => run(serve, snapshot, &mut out, size, first, count).await?,
        }
    }
    out.finish()
}

async fn run(
    serve: &Serve,
    snapshot: &dyn Snapshot,
    out: &mut Outgoing<'_>,
    size: ChunkSize,
    first: Ordinal,
    count: u32,
) -> Result<(), ServeError> {
    let mut done = 0;
    while done < count {
        let part = ENTRIES_AT_ONCE.min(count - done);
        for entry in snapshot.entries(Ordinal(first.0 + u64::from(done)), part).await? {
            let all = u32::try_from(entry.chunks(size)).unwrap_or(u32::MAX);
            chunks(serve, snapshot, out, &entry, size, ChunkRange { first: ChunkIndex(0), count: all })
                .await?;
        }
        done += part;
    }
    Ok(())
}

async fn chunks(
    serve: &Serve,
    snapshot: &dyn Snapshot,
    out: &mut Outgoing<'_>,
    entry: &Entry,
    size: ChunkSize,
    range: ChunkRange,
) -> Result<(), ServeError> {
    if range.end() > entry.chunks(size) {
        return Err(SourceError::BadRange(entry.ordinal).into());
    }
    for index in range.iter() {
        let offset = index.0 * size.bytes();
        let len = usize::try_from(size.len_of(index, entry.len)).expect("a chunk is at most 16 MiB");
        match snapshot.read(entry.ordinal, offset, len).await {
            Ok(bytes) => content(serve, out, entry, offset, bytes).await?,
            // A bad entry costs that entry: the rest of the request is still answered.
            Err(error) => return failed(out, entry, offset, &error).await,
        }
    }
    Ok(())
}

async fn content(
    serve: &Serve,
    out: &mut Outgoing<'_>,
    entry: &Entry,
    offset: u64,
    bytes: Bytes,
) -> Result<(), ServeError> {
    let len = u32::try_from(bytes.len()).expect("a chunk is at most 16 MiB");
    let status = RecordStatus::Content(entry.codec);
    let header = RecordHeader { ordinal: entry.ordinal, offset, len, status };
    write(out, header, bytes).await?;
    serve.leases.sent(serve.offer, u64::from(len));
    serve.session.tell(Command::Sent(u64::from(len))).await;
    Ok(())
}

async fn failed(
    out: &mut Outgoing<'_>,
    entry: &Entry,
    offset: u64,
    error: &SourceError,
) -> Result<(), ServeError> {
    let reason = Text::<REASON_LEN_MAX>::cut(&error.to_string());
    let bytes = Bytes::copy_from_slice(reason.as_str().as_bytes());
    let len = u32::try_from(bytes.len()).expect("a reason is at most 1 KiB");
    let status = RecordStatus::Failed(code_of(error));
    write(out, RecordHeader { ordinal: entry.ordinal, offset, len, status }, bytes).await
}

async fn write(out: &mut Outgoing<'_>, header: RecordHeader, bytes: Bytes) -> Result<(), ServeError> {
    if bytes.len() > JOIN_MAX {
        out.write(Bytes::copy_from_slice(&header.encode())).await?;
        return out.write(bytes).await;
    }
    let mut joined = BytesMut::with_capacity(RecordHeader::LEN + bytes.len());
    joined.extend_from_slice(&header.encode());
    joined.extend_from_slice(&bytes);
    out.write(joined.freeze()).await
}
