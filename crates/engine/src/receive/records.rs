//! Content: take an answer apart, verify its chunks, store them, say so; a batch at a time.
//!
//! This is where a chunk is verified: [`Fetch::verify`] is the only place of the engine that makes
//! a [`VerifiedChunk`](peerstream_snapshot::VerifiedChunk).
//!
//! A fetch is one task. While a batch is verified and stored, the next one is filled; when that is
//! full too, nothing more is read, and the transport's window holds the source back. So a fetch has
//! at most two batches in memory.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use peerstream_recovery::NotTaken;
use peerstream_shape::{Charge, Class, Direction};
use peerstream_snapshot::{SinkError, Staging, VerifiedChunk, run_for};
use peerstream_types::{ChunkIndex, ChunkSize, EntryKey, FetchId, Ordinal, Span};
use peerstream_wire::message::OfferV1;
use peerstream_wire::{Code, StreamKind};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::answer::{Answer, Step};
use super::batch::{Batch, Checked};
use super::buffers::BUFFER_LEN;
use super::expected::{Expectation, Expected};
use super::names::Names;
use super::{ReceiveError, stream_of};
use crate::io::{IoError, StreamReader};
use crate::session::{Ask, SessionHandle, join_span};
use crate::shared::Shared;

/// Batches up to this size are verified where they are: BLAKE3 takes 30 µs for as much, and handing
/// it to a pool costs about that again, and the cache.
const VERIFY_INLINE_MAX: usize = BUFFER_LEN;
/// How long a whole record may wait for others before it is stored. A source that pauses holds back
/// nothing that it gave; one at 10 MiB/s fills a batch in this time.
const LINGER: Duration = Duration::from_millis(25);

/// One request for content, under way.
pub(crate) struct Fetch {
    pub(crate) shared: Arc<Shared>,
    pub(crate) session: SessionHandle,
    pub(crate) offer: Arc<OfferV1>,
    pub(crate) class: Class,
    pub(crate) staging: Arc<dyn Staging>,
    /// Whether the staging merges what it stores, and may find fault with what fits its digest.
    pub(crate) merges: bool,
    /// The job's name of the fetch; the session has another.
    pub(crate) fetch: FetchId,
    pub(crate) spans: Vec<Span>,
    /// What they are called at the source.
    pub(crate) names: Names,
    pub(crate) attempt: u32,
    /// By entry; one entry may be asked for in several runs of chunks.
    pub(crate) expected: Vec<Expected>,
    pub(crate) events: mpsc::Sender<(FetchId, FetchEvent)>,
}

/// What came of a fetch, piece by piece.
#[derive(Debug)]
pub(crate) enum FetchEvent {
    /// Verified and stored: this many bytes.
    Stored(Vec<Span>, u64),
    /// Verified, and on its way to the store.
    Arrived,
    /// Did not fit its digest.
    Bad { ordinal: Ordinal, chunk: ChunkIndex, why: String },
    /// Fits its digest, and the store does not take the entry for another reason.
    NotTaken { ordinal: Ordinal, reason: NotTaken },
    /// The source cannot give it.
    Failed { span: Option<Span>, code: Code, why: String },
    /// The local store failed.
    StoreFailed(SinkError),
    /// Nothing more comes.
    Ended,
}

/// A batch that is being verified and stored.
type Keeping<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

impl Fetch {
    /// Asks, reads to the end, and tells the job.
    pub(crate) async fn run(mut self) {
        let expectation = Expectation::new(std::mem::take(&mut self.expected));
        self.charge(expectation.bytes(self.size())).await;
        let (offer, attempt) = (self.offer.offer, self.attempt);
        let spans = self.spans.iter().flat_map(|span| self.names.there(*span)).collect();
        let ask = Ask::Fetch { offer, spans, attempt };
        match self.session.ask(ask).await {
            Ok(mut request) => {
                let read = match stream_of(&mut request, StreamKind::Records).await {
                    Ok(reader) => self.read(reader, expectation).await,
                    Err(error) => Err(error),
                };
                request.done().await;
                self.report(read).await;
            }
            Err(why) => self.tell(FetchEvent::Failed { span: None, code: Code::Internal, why }).await,
        }
        self.tell(FetchEvent::Ended).await;
    }

    fn size(&self) -> ChunkSize {
        self.offer.header.chunk_size
    }

    async fn report(&self, read: Result<(), ReceiveError>) {
        if let Err(ReceiveError::Refused { code, reason }) = read {
            self.tell(FetchEvent::Failed { span: None, code, why: reason }).await;
        }
        // Anything else that broke the stream leaves the answer short, which the job sees by itself.
    }

    /// The receiver shapes by pacing its requests, and drains what comes.
    async fn charge(&self, bytes: u64) {
        let peer = Some(&self.session.id.peer);
        let charge = Charge { class: self.class, direction: Direction::Receive, peer, bytes };
        if let Some(wait) = self.shared.parts.shaper.charge(&charge) {
            wait.await;
        }
    }

    /// Reads an answer to its end, and keeps what is whole however it ends.
    async fn read(&self, reader: StreamReader, expectation: Expectation) -> Result<(), ReceiveError> {
        let mut answer =
            Answer::new(self.size(), expectation, self.names.clone(), self.shared.buffers.clone());
        let mut keeping: Option<Keeping<'_>> = None;
        let read = self.read_records(reader, &mut answer, &mut keeping).await;
        if let Some(keeping) = keeping {
            keeping.await;
        }
        if let Some(batch) = answer.batch() {
            self.keep(batch).await;
        }
        read
    }

    async fn read_records<'a>(
        &'a self,
        mut reader: StreamReader,
        answer: &mut Answer,
        keeping: &mut Option<Keeping<'a>>,
    ) -> Result<(), ReceiveError> {
        let mut bytes = Bytes::new();
        let mut linger = pin!(tokio::time::sleep(LINGER));
        loop {
            let had_records = answer.has_records();
            match answer.take(&mut bytes).map_err(IoError::from)? {
                Step::More => {}
                Step::Full => {
                    if let Some(before) = keeping.take() {
                        before.await;
                    }
                    *keeping = answer.batch().map(|batch| self.start(batch));
                    continue;
                }
                Step::Wasted(len) => {
                    self.session.wasted(len);
                    continue;
                }
                Step::Failed { ordinal, code, why } => {
                    // What came of the entry before is told first, or it would be asked for again.
                    if let Some(before) = keeping.take() {
                        before.await;
                    }
                    if let Some(batch) = answer.batch() {
                        self.keep(batch).await;
                    }
                    let span = Some(Span::entry(ordinal));
                    self.tell(FetchEvent::Failed { span, code, why }).await;
                    continue;
                }
            }
            if answer.has_records() && !had_records {
                linger.as_mut().reset(Instant::now() + LINGER);
            }
            let may_start = answer.has_records() && keeping.is_none();
            tokio::select! {
                biased;
                () = finished(keeping) => *keeping = None,
                read = reader.chunk() => match read? {
                    Some(read) => bytes = read,
                    None if answer.is_between_records() => return Ok(()),
                    None => return Err(IoError::Ended("a record").into()),
                },
                () = &mut linger, if may_start => {
                    *keeping = answer.batch().map(|batch| self.start(batch));
                }
            }
        }
    }

    fn start(&self, batch: Batch) -> Keeping<'_> {
        Box::pin(self.keep(batch))
    }

    /// Verifies a batch and stores what is good of it, in one step; then tells everyone.
    async fn keep(&self, batch: Batch) {
        // Without an answer the node is going down, and the job with it.
        let Some(Checked { good, bad }) = self.verify(batch).await else { return };
        if !good.is_empty() {
            self.tell(FetchEvent::Arrived).await;
            self.store(good).await;
        }
        for bad in bad {
            self.session.wasted(bad.len);
            let (ordinal, chunk, why) = (bad.ordinal, bad.index, bad.why.to_string());
            self.tell(FetchEvent::Bad { ordinal, chunk, why }).await;
        }
    }

    async fn verify(&self, batch: Batch) -> Option<Checked> {
        let size = self.size();
        if batch.len() <= VERIFY_INLINE_MAX {
            return Some(batch.check(size));
        }
        run_for(&*self.shared.parts.offload, move || batch.check(size)).await.ok()
    }

    async fn store(&self, good: Vec<VerifiedChunk>) {
        let again = if self.merges { good.clone() } else { Vec::new() };
        let (spans, bytes) = self.named(&good);
        match self.staging.store(good).await {
            Ok(()) => self.stored(spans, bytes).await,
            Err(error) => match NotTakenOf::named_by(&error) {
                Some(first) if again.iter().any(|chunk| first.is_of(chunk)) => {
                    self.store_each(again, first).await;
                }
                _ => self.tell(FetchEvent::StoreFailed(error)).await,
            },
        }
    }

    /// The store did not take an entry: one after the other, what else there is. A source has one copy of an
    /// entry, so its key tells which.
    async fn store_each(&self, good: Vec<VerifiedChunk>, first: NotTakenOf) {
        let (bad, rest): (Vec<_>, Vec<_>) = good.into_iter().partition(|chunk| first.is_of(chunk));
        let (mut taken, mut refused, mut failed) = (Vec::new(), vec![(&bad[..], first.reason)], None);
        for chunks in rest.chunk_by(|a, b| a.entry().ordinal == b.entry().ordinal) {
            let Err(error) = self.staging.store(chunks.to_vec()).await else {
                taken.extend_from_slice(chunks);
                continue;
            };
            match NotTakenOf::named_by(&error).filter(|named| named.is_of(&chunks[0])) {
                Some(named) => refused.push((chunks, named.reason)),
                None => {
                    failed = Some(error);
                    break;
                }
            }
        }
        if !taken.is_empty() {
            let (spans, bytes) = self.named(&taken);
            self.stored(spans, bytes).await;
        }
        for (chunks, reason) in refused {
            self.session.wasted(self.named(chunks).1);
            let ordinal = chunks[0].entry().ordinal;
            self.tell(FetchEvent::NotTaken { ordinal, reason }).await;
        }
        if let Some(error) = failed {
            self.tell(FetchEvent::StoreFailed(error)).await;
        }
    }

    /// What chunks are called, and how many bytes they have.
    fn named(&self, chunks: &[VerifiedChunk]) -> (Vec<Span>, u64) {
        let (mut spans, mut bytes) = (Vec::new(), 0);
        for chunk in chunks {
            let ordinal = chunk.entry().ordinal;
            let is_whole = chunk.entry().chunks(self.size()) == 1;
            bytes += chunk.bytes().len() as u64;
            let span = if is_whole { Span::entry(ordinal) } else { Span::chunk(ordinal, chunk.index()) };
            join_span(&mut spans, span);
        }
        (spans, bytes)
    }

    async fn stored(&self, spans: Vec<Span>, bytes: u64) {
        self.tell(FetchEvent::Stored(spans.clone(), bytes)).await;
        let spans = spans.into_iter().flat_map(|span| self.names.there(span)).collect();
        self.session.received(self.offer.offer, spans, bytes).await;
    }

    async fn tell(&self, event: FetchEvent) {
        // The job may have ended meanwhile; then nobody wants to know.
        let _ = self.events.send((self.fetch, event)).await;
    }
}

/// The entry that the store does not take, and why.
struct NotTakenOf {
    key: EntryKey,
    reason: NotTaken,
}

impl NotTakenOf {
    #[expect(clippy::wildcard_enum_match_arm, reason = "an open enum; all else is no fault of an entry")]
    fn named_by(error: &SinkError) -> Option<Self> {
        let (key, reason) = match error {
            SinkError::BadEntry { key, why } => {
                (key, NotTaken::Bad(format!("the store cannot keep it: {why}")))
            }
            SinkError::Unmergeable { key, why } => {
                let why = format!("the store cannot merge it with what is here: {why}");
                (key, NotTaken::Unmergeable(why))
            }
            _ => return None,
        };
        Some(Self { key: key.clone(), reason })
    }

    fn is_of(&self, chunk: &VerifiedChunk) -> bool {
        chunk.entry().key == self.key
    }
}

/// Ready when the batch under way is kept; never if there is none. Cancel safe.
async fn finished(keeping: &mut Option<Keeping<'_>>) {
    match keeping {
        Some(keeping) => keeping.await,
        None => std::future::pending().await,
    }
}
