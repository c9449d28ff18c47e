//! What a request names, as reads that are bounded one by one.

use std::collections::VecDeque;

use peerstream_snapshot::{Snapshot, SourceError};
use peerstream_types::{ChunkIndex, ChunkRange, ChunkSize, Codec, Entry, Ordinal, Span};
use peerstream_wire::RecordHeader;

use super::ServeError;

/// Most entries looked up at once.
const ENTRIES_AT_ONCE: u32 = 512;
/// Most bytes of small entries that are read at once: enough to pay for a hop to the disk, and little
/// enough to stay in the cache until it is written.
pub(crate) const RUN_BYTES: u64 = 256 * 1024;
/// Most small entries that are read at once.
const RUN_ENTRIES: u32 = 1024;

/// The reads that answer a request, in its order. Small entries are kept as runs, so its size is that
/// of the large ones that were named and a few hundredths of the small ones.
#[derive(Debug)]
pub(super) struct Plan(VecDeque<Part>);

#[derive(Debug)]
enum Part {
    /// Entries of at most one chunk.
    Run { first: Ordinal, count: u32, bytes: u64 },
    /// Chunks of one entry.
    Chunks { entry: Large, range: ChunkRange },
}

/// What there is to know of an entry to read its chunks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Large {
    pub(super) ordinal: Ordinal,
    pub(super) len: u64,
    pub(super) codec: Codec,
}

/// One read.
#[derive(Debug)]
pub(super) enum Read {
    /// Whole entries of at most one chunk.
    Run { first: Ordinal, count: u32 },
    /// One chunk of an entry.
    Chunk { entry: Large, index: ChunkIndex },
}

impl Plan {
    /// Looks everything up that the spans name. They come from the peer: what they add up to is
    /// bounded by `limit`, what the peer was told to have under way, and each must be in the manifest.
    pub(super) async fn of(
        snapshot: &dyn Snapshot,
        size: ChunkSize,
        limit: u64,
        spans: &[Span],
    ) -> Result<Self, ServeError> {
        let mut wanted = Wanted { size, limit, bytes: 0, parts: VecDeque::new() };
        for span in spans {
            match *span {
                Span::Chunks { ordinal, range } => {
                    for entry in snapshot.entries(ordinal, 1).await? {
                        wanted.add_chunks(&entry, range)?;
                    }
                }
                Span::Entries { first, count } => {
                    let mut done = 0;
                    while done < count {
                        let part = ENTRIES_AT_ONCE.min(count - done);
                        for entry in snapshot.entries(Ordinal(first.0 + u64::from(done)), part).await? {
                            wanted.add_entry(&entry)?;
                        }
                        done += part;
                    }
                }
            }
        }
        Ok(Self(wanted.parts))
    }

    /// The next read.
    pub(super) fn next(&mut self) -> Option<Read> {
        match self.0.pop_front()? {
            Part::Run { first, count, .. } => Some(Read::Run { first, count }),
            Part::Chunks { entry, range } => {
                if range.count > 1 {
                    let first = ChunkIndex(range.first.0 + 1);
                    let range = ChunkRange { first, count: range.count - 1 };
                    self.0.push_front(Part::Chunks { entry, range });
                }
                Some(Read::Chunk { entry, index: range.first })
            }
        }
    }

    /// Leaves out what is left of the run of chunks that is being read.
    pub(super) fn skip(&mut self, ordinal: Ordinal) {
        if matches!(self.0.front(), Some(Part::Chunks { entry, .. }) if entry.ordinal == ordinal) {
            self.0.pop_front();
        }
    }
}

/// What a request has named so far.
struct Wanted {
    size: ChunkSize,
    limit: u64,
    bytes: u64,
    parts: VecDeque<Part>,
}

impl Wanted {
    fn add_chunks(&mut self, entry: &Entry, range: ChunkRange) -> Result<(), ServeError> {
        if range.end() > entry.chunks(self.size) {
            return Err(SourceError::BadRange(entry.ordinal).into());
        }
        self.count(self.size.bytes_in(range, entry.len), u64::from(range.count))?;
        let entry = Large { ordinal: entry.ordinal, len: entry.len, codec: entry.codec };
        self.parts.push_back(Part::Chunks { entry, range });
        Ok(())
    }

    fn add_entry(&mut self, entry: &Entry) -> Result<(), ServeError> {
        let chunks = entry.chunks(self.size);
        if chunks > 1 {
            let count = u32::try_from(chunks).unwrap_or(u32::MAX);
            return self.add_chunks(entry, ChunkRange { first: ChunkIndex(0), count });
        }
        self.count(entry.len, 1)?;
        match self.parts.back_mut() {
            Some(Part::Run { first, count, bytes })
                if first.0 + u64::from(*count) == entry.ordinal.0
                    && *count < RUN_ENTRIES
                    && *bytes + entry.len <= RUN_BYTES =>
            {
                *count += 1;
                *bytes += entry.len;
            }
            Some(Part::Run { .. } | Part::Chunks { .. }) | None => {
                self.parts.push_back(Part::Run { first: entry.ordinal, count: 1, bytes: entry.len });
            }
        }
        Ok(())
    }

    /// Every record counts for its header too, so that empty ones are bounded as well.
    fn count(&mut self, bytes: u64, records: u64) -> Result<(), ServeError> {
        let headers = records.saturating_mul(RecordHeader::LEN as u64);
        self.bytes = self.bytes.saturating_add(bytes).saturating_add(headers);
        if self.bytes > self.limit { Err(ServeError::Greedy(self.limit)) } else { Ok(()) }
    }
}
