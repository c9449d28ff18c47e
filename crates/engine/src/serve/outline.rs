//! Chaining values of an entry.

use bytes::{BufMut, BytesMut};
use peerstream_snapshot::Snapshot;
use peerstream_types::{ChunkRange, Ordinal};
use peerstream_wire::StreamKind;

use super::stream::Outgoing;
use super::{Serve, ServeError};

pub(super) async fn serve(
    serve: &Serve,
    snapshot: &dyn Snapshot,
    ordinal: Ordinal,
    level: u8,
    range: ChunkRange,
) -> Result<(), ServeError> {
    let values = snapshot.outline(ordinal, level, range).await?;
    let mut out = Outgoing::open(serve, StreamKind::Outline).await?;
    let mut bytes = BytesMut::with_capacity(values.len() * 32);
    values.iter().for_each(|value| bytes.put_slice(&value.0));
    out.write(bytes.freeze()).await?;
    out.finish()
}
