//! An answer taken apart: bytes as they come from the transport in, batches of whole records out.

use bytes::Bytes;
use peerstream_types::{ChunkSize, Ordinal};
use peerstream_wire::{Code, RecordHeader, RecordStatus, WireError};

use super::batch::{Batch, Piece};
use super::buffers::{BUFFER_LEN, Buffers};
use super::expected::Expectation;
use super::names::Names;

/// Most records of one batch, so that a batch of tiny ones is verified in well under a millisecond.
const RECORDS_MAX: usize = 1024;

/// What was met in an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// All bytes are used up.
    More,
    /// The batch is full: take it out before going on.
    Full,
    /// A record of this length came that was not asked for, or came before.
    Wasted(u64),
    /// The source cannot give the entry.
    Failed { ordinal: Ordinal, code: Code, why: String },
}

/// Takes an answer apart. Content that was asked for is gathered in one recycled buffer after the
/// other, one copy each; everything else is skipped.
#[derive(Debug)]
pub(super) struct Answer {
    size: ChunkSize,
    expectation: Expectation,
    names: Names,
    buffers: Buffers,
    state: State,
    /// Content of whole records, then that of the record under way.
    buffer: Vec<u8>,
    pieces: Vec<Piece>,
}

#[derive(Debug)]
enum State {
    Header { bytes: [u8; RecordHeader::LEN], filled: usize },
    Begun(RecordHeader),
    Content { piece: Piece, left: usize },
    Surplus { len: u32, left: usize },
    Reason { ordinal: Ordinal, code: Code, text: Vec<u8>, left: usize },
}

impl State {
    fn begin() -> Self {
        Self::Header { bytes: [0; RecordHeader::LEN], filled: 0 }
    }
}

impl Answer {
    pub(super) fn new(size: ChunkSize, expectation: Expectation, names: Names, buffers: Buffers) -> Self {
        let (state, buffer, pieces) = (State::begin(), Vec::new(), Vec::new());
        Self { size, expectation, names, buffers, state, buffer, pieces }
    }

    /// Takes bytes from the front of `bytes` until something is to be done or they are used up.
    ///
    /// # Errors
    ///
    /// [`WireError`] for a header that breaks the rules: nothing more can be read.
    pub(super) fn take(&mut self, bytes: &mut Bytes) -> Result<Step, WireError> {
        loop {
            match &mut self.state {
                State::Header { bytes: header, filled } => {
                    fill(&mut header[*filled..], filled, bytes);
                    if *filled < RecordHeader::LEN {
                        return Ok(Step::More);
                    }
                    self.state = State::Begun(RecordHeader::decode(header)?);
                }
                State::Begun(header) => {
                    let header = *header;
                    if !self.begin(header) {
                        return Ok(Step::Full);
                    }
                }
                State::Content { left, .. } => {
                    let part = bytes.split_to(bytes.len().min(*left));
                    self.buffer.extend_from_slice(&part);
                    *left -= part.len();
                    if *left > 0 {
                        return Ok(Step::More);
                    }
                    if self.end_of_content() {
                        return Ok(Step::Full);
                    }
                }
                State::Surplus { len, left } => {
                    let len = u64::from(*len);
                    if !skip(bytes, left) {
                        return Ok(Step::More);
                    }
                    self.state = State::begin();
                    return Ok(Step::Wasted(len));
                }
                State::Reason { ordinal, code, text, left } => {
                    let part = bytes.split_to(bytes.len().min(*left));
                    text.extend_from_slice(&part);
                    *left -= part.len();
                    if *left > 0 {
                        return Ok(Step::More);
                    }
                    let why = String::from_utf8_lossy(text).escape_debug().to_string();
                    let (ordinal, code) = (self.names.here(*ordinal), *code);
                    self.state = State::begin();
                    // What was not asked for cannot fail.
                    if let Some(ordinal) = ordinal {
                        return Ok(Step::Failed { ordinal, code, why });
                    }
                }
            }
        }
    }

    /// Begins a record; `false` if the batch has no room for it.
    fn begin(&mut self, header: RecordHeader) -> bool {
        let left = header.len as usize;
        self.state = match header.status {
            RecordStatus::Failed(code) => {
                State::Reason { ordinal: header.ordinal, code, text: Vec::new(), left }
            }
            RecordStatus::Content(_) => {
                if !self.pieces.is_empty() && self.buffer.len() + left > self.buffer.capacity() {
                    return false;
                }
                let known = self.names.here(header.ordinal);
                let known = known.map(|ordinal| RecordHeader { ordinal, ..header });
                match known.and_then(|header| self.expectation.take(&header, self.size)) {
                    // Twice, late, surplus or foreign: read past it and throw it away (rows C18, F-35).
                    None => State::Surplus { len: header.len, left },
                    Some((expected, index)) => {
                        if self.pieces.is_empty() {
                            self.buffer = self.buffers.take(left);
                        }
                        let start = self.buffer.len();
                        State::Content { piece: Piece::new(expected, index, start..start + left), left }
                    }
                }
            }
        };
        true
    }

    /// A record of content is whole; says whether the batch is full.
    fn end_of_content(&mut self) -> bool {
        if let State::Content { piece, .. } = std::mem::replace(&mut self.state, State::begin()) {
            self.pieces.push(piece);
        }
        self.buffer.len() >= BUFFER_LEN || self.pieces.len() >= RECORDS_MAX
    }

    /// Whether a whole record is at hand.
    pub(super) fn has_records(&self) -> bool {
        !self.pieces.is_empty()
    }

    /// Whether the answer may end here.
    pub(super) fn is_between_records(&self) -> bool {
        matches!(self.state, State::Header { filled: 0, .. })
    }

    /// The whole records so far. What has come of the next one stays.
    pub(super) fn batch(&mut self) -> Option<Batch> {
        if self.pieces.is_empty() {
            return None;
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        if let State::Content { piece, .. } = &mut self.state {
            let begun = piece.move_to_front();
            self.buffer = self.buffers.take(piece.len());
            self.buffer.extend_from_slice(&buffer[begun..]);
            buffer.truncate(begun);
        }
        Some(Batch::new(self.buffers.freeze(buffer), std::mem::take(&mut self.pieces)))
    }
}

/// Fills `room` from the front of `bytes`, and counts.
fn fill(room: &mut [u8], filled: &mut usize, bytes: &mut Bytes) {
    let part = bytes.split_to(bytes.len().min(room.len()));
    room[..part.len()].copy_from_slice(&part);
    *filled += part.len();
}

/// Throws away up to `left` bytes; whether that was all of them.
fn skip(bytes: &mut Bytes, left: &mut usize) -> bool {
    let part = bytes.split_to(bytes.len().min(*left));
    *left -= part.len();
    *left == 0
}

#[cfg(test)]
#[path = "answer/tests.rs"]
mod tests;
