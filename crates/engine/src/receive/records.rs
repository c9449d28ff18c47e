//! Content: read a record, verify its chunk, store it, say so.
//!
//! This is where a chunk is verified: [`Fetch::verify`] is the only place of the engine that makes
//! a [`VerifiedChunk`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use peerstream_shape::{Charge, Class, Direction};
use peerstream_snapshot::{SinkError, Staging, VerifiedChunk, VerifiedOutline, VerifyError, run_for};
use peerstream_types::{ChunkIndex, ChunkRange, ChunkSize, Entry, FetchId, Ordinal, Span};
use peerstream_wire::message::OfferV1;
use peerstream_wire::{Code, RecordHeader, RecordStatus, StreamKind};
use tokio::sync::mpsc;

use super::{ReceiveError, stream_of};
use crate::io::StreamReader;
use crate::session::{Ask, SessionHandle};
use crate::shared::Shared;

/// Chunks up to this size are verified where they are: handing them over would cost more.
const VERIFY_INLINE_MAX: u64 = 16 * 1024;

/// What a fetch expects of one entry.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    pub(crate) entry: Arc<Entry>,
    pub(crate) range: ChunkRange,
    pub(crate) outline: Option<VerifiedOutline>,
}

/// One request for content, under way.
pub(crate) struct Fetch {
    pub(crate) shared: Arc<Shared>,
    pub(crate) session: SessionHandle,
    pub(crate) offer: Arc<OfferV1>,
    pub(crate) class: Class,
    pub(crate) staging: Arc<dyn Staging>,
    /// The job's name of the fetch; the session has another.
    pub(crate) fetch: FetchId,
    pub(crate) spans: Vec<Span>,
    pub(crate) attempt: u32,
    /// By entry; one entry may be asked for in several runs of chunks.
    pub(crate) expected: BTreeMap<Ordinal, Vec<Expected>>,
    pub(crate) events: mpsc::Sender<(FetchId, FetchEvent)>,
}

/// What came of a fetch, piece by piece.
#[derive(Debug)]
pub(crate) enum FetchEvent {
    /// Verified and stored.
    Stored(Span),
    /// Did not fit its digest.
    Bad { ordinal: Ordinal, chunk: ChunkIndex, why: String },
    /// The source cannot give it.
    Failed { span: Option<Span>, code: Code, why: String },
    /// The local store failed.
    StoreFailed(SinkError),
    /// Nothing more comes.
    Ended,
}

impl Fetch {
    /// Asks, reads to the end, and tells the job.
    pub(crate) async fn run(mut self) {
        self.charge().await;
        let ask = Ask::Fetch {
            offer: self.offer.offer,
            spans: std::mem::take(&mut self.spans),
            attempt: self.attempt,
        };
        match self.session.ask(ask).await {
            Ok(mut request) => {
                let id = request.id;
                let read = match stream_of(&mut request, StreamKind::Records).await {
                    Ok(reader) => self.read(reader).await,
                    Err(error) => Err(error),
                };
                self.session.done(id).await;
                self.report(read).await;
            }
            Err(why) => self.tell(FetchEvent::Failed { span: None, code: Code::Internal, why }).await,
        }
        self.tell(FetchEvent::Ended).await;
    }

    async fn report(&self, read: Result<(), ReceiveError>) {
        if let Err(ReceiveError::Refused { code, reason }) = read {
            self.tell(FetchEvent::Failed { span: None, code, why: reason }).await;
        }
        // Anything else that broke the stream leaves the answer short, which the job sees by itself.
    }

    /// The receiver shapes by pacing its requests, and drains what comes.
    async fn charge(&self) {
        let size = self.offer.header.chunk_size;
        let all = self.expected.values().flatten();
        let bytes = all.map(|expected| size.bytes_in(expected.range, expected.entry.len)).sum();
        let peer = Some(&self.session.id.peer);
        let charge = Charge { class: self.class, direction: Direction::Receive, peer, bytes };
        if let Some(wait) = self.shared.parts.shaper.charge(&charge) {
            wait.await;
        }
    }

    async fn read(&self, mut reader: StreamReader) -> Result<(), ReceiveError> {
        let mut taken = BTreeSet::new();
        while let Some(header) = reader.exact_or_end(RecordHeader::LEN, "a record").await? {
            let header = RecordHeader::decode(header[..].try_into().expect("exactly one header was read"));
            let header = header.map_err(crate::io::IoError::from)?;
            match header.status {
                RecordStatus::Content(_) => self.content(&mut reader, header, &mut taken).await?,
                RecordStatus::Failed(code) => {
                    let reason = reader.exact(header.len as usize, "a reason").await?;
                    let why = String::from_utf8_lossy(&reason).escape_debug().to_string();
                    let span = Some(Span::entry(header.ordinal));
                    self.tell(FetchEvent::Failed { span, code, why }).await;
                }
            }
        }
        Ok(())
    }

    /// Takes a record of content; `taken` are the chunks of the answer so far.
    async fn content(
        &self,
        reader: &mut StreamReader,
        header: RecordHeader,
        taken: &mut BTreeSet<(Ordinal, ChunkIndex)>,
    ) -> Result<(), ReceiveError> {
        let found = self.find(&header).filter(|(_, index)| taken.insert((header.ordinal, *index)));
        let Some((expected, index)) = found else {
            // Twice, late, surplus or foreign: read past it and throw it away (rows C18, F-35).
            reader.skip(header.len as usize, "a record").await?;
            self.session.wasted(u64::from(header.len)).await;
            return Ok(());
        };
        let bytes = reader.exact(header.len as usize, "a record").await?;
        let size = self.offer.header.chunk_size;
        let len = bytes.len() as u64;
        match self.verify(expected, size, index, bytes).await? {
            Ok(chunk) => self.store(expected, size, index, chunk).await,
            Err(error) => {
                self.session.wasted(len).await;
                let (ordinal, why) = (header.ordinal, error.to_string());
                self.tell(FetchEvent::Bad { ordinal, chunk: index, why }).await;
            }
        }
        Ok(())
    }

    /// What the record is of all that was asked for, if it is any of it.
    fn find(&self, header: &RecordHeader) -> Option<(&Expected, ChunkIndex)> {
        let size = self.offer.header.chunk_size.bytes();
        let index = ChunkIndex(header.offset / size);
        let runs = self.expected.get(&header.ordinal)?;
        let run = runs.iter().find(|run| index >= run.range.first && index.0 < run.range.end())?;
        (header.offset.is_multiple_of(size) && u64::from(header.len) <= size).then_some((run, index))
    }

    async fn verify(
        &self,
        expected: &Expected,
        size: ChunkSize,
        index: ChunkIndex,
        bytes: Bytes,
    ) -> Result<Result<VerifiedChunk, VerifyError>, ReceiveError> {
        let Expected { entry, outline, .. } = expected;
        if bytes.len() as u64 <= VERIFY_INLINE_MAX {
            return Ok(VerifiedChunk::check(entry, size, outline.as_ref(), index, bytes));
        }
        let (entry, outline) = (entry.clone(), outline.clone());
        let check = move || VerifiedChunk::check(&entry, size, outline.as_ref(), index, bytes);
        let checked = run_for(&*self.shared.parts.offload, check).await;
        checked.map_err(|gone| ReceiveError::NotAsked(gone.to_string()))
    }

    async fn store(&self, expected: &Expected, size: ChunkSize, index: ChunkIndex, chunk: VerifiedChunk) {
        let bytes = chunk.bytes().len() as u64;
        let entry = &expected.entry;
        let whole = entry.chunks(size) == 1;
        let span = if whole { Span::entry(entry.ordinal) } else { Span::chunk(entry.ordinal, index) };
        match self.staging.store(vec![chunk]).await {
            Ok(()) => {
                self.tell(FetchEvent::Stored(span)).await;
                self.session.received(self.offer.offer, span, bytes).await;
            }
            Err(error) => self.tell(FetchEvent::StoreFailed(error)).await,
        }
    }

    async fn tell(&self, event: FetchEvent) {
        // The job may have ended meanwhile; then nobody wants to know.
        let _ = self.events.send((self.fetch, event)).await;
    }
}
