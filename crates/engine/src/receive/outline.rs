//! Parts of the outline of an entry, checked against its digest before any data is asked for.

use std::sync::Arc;

use peerstream_recovery::OutlinePart;
use peerstream_snapshot::{Offload, VerifiedOutline, VerifiedTop, VerifyError, run_for};
use peerstream_types::{ChainingValue, ChunkIndex, ChunkRange, ChunkSize, Entry, GroupIndex, Ordinal};
use peerstream_wire::StreamKind;
use peerstream_wire::limits::OUTLINE_VALUES_MAX;
use peerstream_wire::message::OfferV1;

use super::{ReceiveError, stream_of};
use crate::session::{Ask, SessionHandle};

const VALUE_LEN: usize = 32;

/// A part of an outline that was verified.
#[derive(Debug, Clone)]
pub(crate) enum VerifiedPart {
    Top(VerifiedTop),
    Group(VerifiedOutline),
}

/// What is asked for: a part of the outline of an entry, and what it is checked against.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) entry: Arc<Entry>,
    /// What the source calls the entry.
    pub(crate) there: Ordinal,
    pub(crate) part: OutlinePart,
    /// The top of the entry: needed for a group of an entry of several.
    pub(crate) top: Option<VerifiedTop>,
}

impl Wanted {
    /// Which values of which level they are. Bounded, so that an entry cannot make this node ask for
    /// more than the wire allows, or keep it.
    fn values(&self, size: ChunkSize) -> Result<(u8, ChunkRange), ReceiveError> {
        let (level, first, count) = match self.part {
            OutlinePart::Top => (1, ChunkIndex(0), self.entry.groups(size)),
            OutlinePart::Group(group) => {
                let range = size.chunks_of(group, self.entry.len);
                (0, range.first, u64::from(range.count))
            }
        };
        let count = u32::try_from(count).ok().filter(|count| (1..=OUTLINE_VALUES_MAX).contains(count));
        let count =
            count.ok_or_else(|| ReceiveError::Wrong(format!("no outline has {} groups", self.part)))?;
        Ok((level, ChunkRange { first, count }))
    }

    fn check(&self, size: ChunkSize, values: Vec<ChainingValue>) -> Result<VerifiedPart, VerifyError> {
        let entry = &self.entry;
        match (self.part, &self.top) {
            (OutlinePart::Top, _) => VerifiedTop::check(entry, size, values).map(VerifiedPart::Top),
            (OutlinePart::Group(GroupIndex(0)), None) => {
                VerifiedOutline::check(entry, size, values).map(VerifiedPart::Group)
            }
            (OutlinePart::Group(group), Some(top)) => {
                VerifiedOutline::check_group(entry, size, top, group, values).map(VerifiedPart::Group)
            }
            (OutlinePart::Group(_), None) => Err(VerifyError::WrongOutline { key: entry.key.clone() }),
        }
    }
}

/// Asks for a part of an outline, reads and verifies it.
pub(crate) async fn fetch_outline(
    session: &SessionHandle,
    offer: &OfferV1,
    offload: &dyn Offload,
    wanted: Wanted,
) -> Result<VerifiedPart, ReceiveError> {
    let size = offer.header.chunk_size;
    let (level, range) = wanted.values(size)?;
    let ask = Ask::Outline { offer: offer.offer, ordinal: wanted.there, level, range };
    let mut request = session.ask(ask).await.map_err(ReceiveError::NotAsked)?;
    let bytes = async {
        let mut reader = stream_of(&mut request, StreamKind::Outline).await?;
        Ok::<_, ReceiveError>(reader.exact(range.count as usize * VALUE_LEN, "an outline").await?)
    };
    let bytes = bytes.await;
    request.done().await;
    let values = bytes?
        .chunks_exact(VALUE_LEN)
        .map(|value| ChainingValue(value.try_into().expect("32 bytes")))
        .collect();
    let checked = run_for(offload, move || wanted.check(size, values)).await;
    let checked = checked.map_err(|gone| ReceiveError::NotAsked(gone.to_string()))?;
    checked.map_err(|error| ReceiveError::Wrong(error.to_string()))
}
