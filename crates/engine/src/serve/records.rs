//! Content: one record per chunk, a whole small entry being one chunk.
//!
//! Small entries are read many at a time and joined into few writes; while one batch is written, the
//! next one is read. So an answer has at most two batches in memory.

use bytes::Bytes;
use peerstream_snapshot::Snapshot;
use peerstream_types::{ChunkSize, Ordinal, Span};
use peerstream_wire::StreamKind;

use super::packer::Packer;
use super::plan::{Large, Plan, Read};
use super::stream::Outgoing;
use super::{Serve, ServeError};

pub(super) async fn serve(serve: &Serve, snapshot: &dyn Snapshot, spans: &[Span]) -> Result<(), ServeError> {
    let size = snapshot.header().chunk_size;
    // Looked up before the stream is opened, so that a request for what is not there is an answer.
    let limit = serve.shared.config.peer_bytes_in_flight.0;
    let mut plan = Plan::of(snapshot, size, limit, spans).await?;
    let mut out = Outgoing::open(serve, StreamKind::Records).await?;
    let mut batch = next(snapshot, size, &mut plan).await;
    while let Some(packer) = batch.take() {
        let (writes, content) = packer.finish();
        let write = write_all(&mut out, writes);
        let read = async { Ok(next(snapshot, size, &mut plan).await) };
        ((), batch) = tokio::try_join!(write, read)?;
        serve.leases.sent(serve.offer, content);
        serve.session.sent(content);
    }
    out.finish()
}

async fn write_all(out: &mut Outgoing<'_>, writes: Vec<Bytes>) -> Result<(), ServeError> {
    for bytes in writes {
        out.write(bytes).await?;
    }
    Ok(())
}

/// Reads the next batch.
async fn next(snapshot: &dyn Snapshot, size: ChunkSize, plan: &mut Plan) -> Option<Packer> {
    let mut packer = Packer::default();
    match plan.next()? {
        Read::Run { first, count } => match snapshot.contents(first, count).await {
            Ok(contents) => contents.into_iter().for_each(|content| packer.whole(content)),
            Err(error) => {
                let run = first.0..first.0.saturating_add(u64::from(count));
                run.for_each(|ordinal| packer.failed(Ordinal(ordinal), 0, &error));
            }
        },
        Read::Chunk { entry: Large { ordinal, len, codec }, index } => {
            let offset = index.0 * size.bytes();
            let len = usize::try_from(size.len_of(index, len)).expect("a chunk is at most 16 MiB");
            match snapshot.read(ordinal, offset, len).await {
                Ok(bytes) => packer.content(ordinal, codec, offset, bytes),
                // A bad entry costs that entry: the rest of the request is still answered.
                Err(error) => {
                    plan.skip(ordinal);
                    packer.failed(ordinal, offset, &error);
                }
            }
        }
    }
    Some(packer)
}
