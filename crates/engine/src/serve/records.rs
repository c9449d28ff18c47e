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
    // Looked up before the stream is opened, so that a request for what is not there is an answer.
    let wanted = resolve(serve, snapshot, size, spans).await?;
    let mut out = Outgoing::open(serve, StreamKind::Records).await?;
    for (entry, range) in &wanted {
        chunks(serve, snapshot, &mut out, entry, size, *range).await?;
    }
    out.finish()
}

/// The entries and chunks that the spans name. Spans come from the peer: what they add up to is
/// bounded by what the peer was told to have under way, and each must be in the manifest.
async fn resolve(
    serve: &Serve,
    snapshot: &dyn Snapshot,
    size: ChunkSize,
    spans: &[Span],
) -> Result<Vec<(Entry, ChunkRange)>, ServeError> {
    let limit = serve.shared.config.peer_bytes_in_flight.0;
    let mut wanted = Wanted { size, limit, bytes: 0, chunks: Vec::new() };
    for span in spans {
        match *span {
            Span::Chunks { ordinal, range } => {
                for entry in snapshot.entries(ordinal, 1).await? {
                    wanted.add(entry, range)?;
                }
            }
            Span::Entries { first, count } => {
                let mut done = 0;
                while done < count {
                    let part = ENTRIES_AT_ONCE.min(count - done);
                    for entry in snapshot.entries(Ordinal(first.0 + u64::from(done)), part).await? {
                        let count = u32::try_from(entry.chunks(size)).unwrap_or(u32::MAX);
                        wanted.add(entry, ChunkRange { first: ChunkIndex(0), count })?;
                    }
                    done += part;
                }
            }
        }
    }
    Ok(wanted.chunks)
}

/// What a request has named so far.
struct Wanted {
    size: ChunkSize,
    limit: u64,
    bytes: u64,
    chunks: Vec<(Entry, ChunkRange)>,
}

impl Wanted {
    fn add(&mut self, entry: Entry, range: ChunkRange) -> Result<(), ServeError> {
        if range.end() > entry.chunks(self.size) {
            return Err(SourceError::BadRange(entry.ordinal).into());
        }
        // Every entry counts for its record header too, so that empty ones are bounded as well.
        let bytes = self.size.bytes_in(range, entry.len).saturating_add(RecordHeader::LEN as u64);
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > self.limit {
            return Err(ServeError::Greedy(self.limit));
        }
        self.chunks.push((entry, range));
        Ok(())
    }
}

async fn chunks(
    serve: &Serve,
    snapshot: &dyn Snapshot,
    out: &mut Outgoing<'_>,
    entry: &Entry,
    size: ChunkSize,
    range: ChunkRange,
) -> Result<(), ServeError> {
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
