//! What travels on data streams: one header frame, then records (or pages, or chaining values).

use bytes::{Buf, BufMut};
use peerstream_types::{Codec, FetchId, Ordinal, PlanId, Role};
use serde::{Deserialize, Serialize};

use crate::limits::{DATA_HEADER_FRAME_MAX, REASON_LEN_MAX, RECORD_LEN_MAX};
use crate::{Code, Extensions, Framed, WireError};

/// Which session and which request a data stream belongs to. It never depends on the connection
/// that carries the stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataHeaderV1 {
    /// The plan.
    pub plan: PlanId,
    /// The session's index in that plan between the two nodes.
    pub index: u32,
    /// The role that the sender of this stream has in the session (row C03).
    pub sender: Role,
    /// The request of the other end that this answers.
    pub request: FetchId,
    /// Optional parts.
    pub extensions: Extensions,
}

/// The first frame of every data stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DataHeader {
    /// Version 1.
    V1(DataHeaderV1),
}

impl Framed for DataHeader {
    const WHAT: &'static str = "data stream header";
    const FRAME_MAX: usize = DATA_HEADER_FRAME_MAX;

    fn validate(&self) -> Result<(), WireError> {
        Ok(())
    }
}

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordStatus {
    /// The payload is content: one whole chunk.
    Content(Codec),
    /// The source cannot give this chunk; the payload is the reason in words.
    Failed(Code),
}

/// The header of one record, followed by `len` raw bytes. Fixed in size and layout, because small
/// entries pay it each: ordinal (8), offset (8), length (4), status (1), codec (1), zero (2); all
/// little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordHeader {
    /// The entry, in the manifest that the session offers.
    pub ordinal: Ordinal,
    /// Where the chunk begins in its entry, in bytes.
    pub offset: u64,
    /// Length of the payload in bytes.
    pub len: u32,
    /// What the payload is.
    pub status: RecordStatus,
}

impl RecordHeader {
    /// Bytes of an encoded header.
    pub const LEN: usize = 24;
    const WHAT: &'static str = "record header";

    /// Encodes the header.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        let mut at = &mut out[..];
        at.put_u64_le(self.ordinal.0);
        at.put_u64_le(self.offset);
        at.put_u32_le(self.len);
        match self.status {
            RecordStatus::Content(codec) => at.put_slice(&[0, codec.code()]),
            RecordStatus::Failed(code) => at.put_slice(&[code.number(), 0]),
        }
        out
    }

    /// Decodes a header.
    ///
    /// # Errors
    ///
    /// [`WireError`] for lengths over their limit, an unknown codec, a codec beside a failure, or spare bytes
    /// that are set.
    pub fn decode(bytes: &[u8; Self::LEN]) -> Result<Self, WireError> {
        let invalid = |why| Err(WireError::Invalid { what: Self::WHAT, why });
        let mut at = &bytes[..];
        let (ordinal, offset) = (Ordinal(at.get_u64_le()), at.get_u64_le());
        let (len, status, codec, spare) = (at.get_u32_le(), at.get_u8(), at.get_u8(), at.get_u16_le());
        if spare != 0 {
            return invalid("its spare bytes are set");
        }
        let (status, max) = match (status, Codec::from_code(codec)) {
            (0, None) => return invalid("its codec is unknown"),
            (0, Some(codec)) => (RecordStatus::Content(codec), RECORD_LEN_MAX),
            (_, _) if codec != 0 => return invalid("it failed and has a codec"),
            (code, _) => (RecordStatus::Failed(Code::from_number(code)), REASON_LEN_MAX as u32),
        };
        if len > max {
            return Err(WireError::FrameTooLong { what: Self::WHAT, len: len as usize, max: max as usize });
        }
        Ok(Self { ordinal, offset, len, status })
    }
}
