//! The outline of an entry, checked against its digest.

use std::sync::Arc;

use peerstream_snapshot::{Offload, VerifiedOutline, run_for};
use peerstream_types::{ChainingValue, ChunkIndex, ChunkRange, ChunkSize, Entry};
use peerstream_wire::StreamKind;
use peerstream_wire::message::OfferV1;

use super::{ReceiveError, stream_of};
use crate::session::{Ask, SessionHandle};

const VALUE_LEN: usize = 32;

/// Asks for the outline of an entry, reads and verifies it.
pub(crate) async fn fetch_outline(
    session: &SessionHandle,
    offer: &OfferV1,
    offload: &dyn Offload,
    entry: Arc<Entry>,
) -> Result<VerifiedOutline, ReceiveError> {
    let size = offer.header.chunk_size;
    let chunks =
        u32::try_from(entry.chunks(size)).map_err(|_| ReceiveError::Wrong("too many chunks".to_owned()))?;
    let range = ChunkRange { first: ChunkIndex(0), count: chunks };
    let ask = Ask::Outline { offer: offer.offer, ordinal: entry.ordinal, range };
    let mut request = session.ask(ask).await.map_err(ReceiveError::NotAsked)?;
    let id = request.id;
    let bytes = async {
        let mut reader = stream_of(&mut request, StreamKind::Outline).await?;
        Ok::<_, ReceiveError>(reader.exact(chunks as usize * VALUE_LEN, "an outline").await?)
    };
    let bytes = bytes.await;
    session.done(id).await;
    let values = bytes?
        .chunks_exact(VALUE_LEN)
        .map(|value| ChainingValue(value.try_into().expect("32 bytes")))
        .collect();
    verify(offload, entry, size, values).await
}

async fn verify(
    offload: &dyn Offload,
    entry: Arc<Entry>,
    size: ChunkSize,
    values: Vec<ChainingValue>,
) -> Result<VerifiedOutline, ReceiveError> {
    let checked = run_for(offload, move || VerifiedOutline::check(&entry, size, values)).await;
    let checked = checked.map_err(|gone| ReceiveError::NotAsked(gone.to_string()))?;
    checked.map_err(|error| ReceiveError::Wrong(error.to_string()))
}
