//! Takes a data stream apart far enough to count what is on it.

use peerstream_wire::{Code, RecordHeader, RecordStatus, StreamKind};

/// Bytes of the length before a frame.
const PREFIX: usize = 4;

/// What a piece of a stream held.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Piece {
    /// What the stream is, as soon as it said so.
    pub(super) kind: Option<StreamKind>,
    /// The stream began with this piece.
    pub(super) began: bool,
    /// Bytes behind the header of the stream.
    pub(super) payload: u64,
    /// Bytes of content.
    pub(super) content: u64,
    /// Why records came without content.
    pub(super) codes: Vec<Code>,
}

/// Reads along with one data stream.
#[derive(Debug, Default)]
pub(super) struct Meter {
    kind: Option<StreamKind>,
    place: Place,
    /// Bytes of a prefix or a record's header that are not whole yet.
    kept: Vec<u8>,
}

#[derive(Debug, Default, Clone, Copy)]
enum Place {
    #[default]
    Kind,
    Prefix,
    Header(usize),
    /// Pages or chaining values: nothing to tell apart.
    Raw,
    Record,
    Content(usize),
    Reason(usize),
}

impl Meter {
    /// The next bytes of the stream.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> Piece {
        let mut piece = Piece::default();
        while !bytes.is_empty() {
            bytes = self.step(bytes, &mut piece);
        }
        piece.kind = self.kind;
        piece
    }

    fn step<'a>(&mut self, bytes: &'a [u8], piece: &mut Piece) -> &'a [u8] {
        match self.place {
            Place::Kind => {
                piece.began = true;
                self.kind = StreamKind::try_from(bytes[0]).ok();
                self.place = Place::Prefix;
                &bytes[1..]
            }
            Place::Prefix => match self.keep(bytes, PREFIX) {
                (Some(prefix), rest) => {
                    let len = u32::from_le_bytes(prefix[..].try_into().expect("four bytes were kept"));
                    self.after(Place::Header(len as usize));
                    rest
                }
                (None, rest) => rest,
            },
            Place::Header(left) => {
                let taken = left.min(bytes.len());
                self.after(Place::Header(left - taken));
                &bytes[taken..]
            }
            Place::Raw => {
                piece.payload += bytes.len() as u64;
                &[]
            }
            Place::Record => {
                let (header, rest) = self.keep(bytes, RecordHeader::LEN);
                piece.payload += (bytes.len() - rest.len()) as u64;
                if let Some(header) = header {
                    self.record(&header, piece);
                }
                rest
            }
            Place::Content(left) | Place::Reason(left) => {
                let taken = left.min(bytes.len());
                piece.payload += taken as u64;
                let is_content = matches!(self.place, Place::Content(_));
                piece.content += if is_content { taken as u64 } else { 0 };
                let left = left - taken;
                self.after(if is_content { Place::Content(left) } else { Place::Reason(left) });
                &bytes[taken..]
            }
        }
    }

    fn record(&mut self, header: &[u8], piece: &mut Piece) {
        let header = header.try_into().expect("a whole header was kept");
        // What does not decode ends the stream at the receiver: nothing behind it is a record.
        let Ok(RecordHeader { len, status, .. }) = RecordHeader::decode(header) else {
            self.place = Place::Raw;
            return;
        };
        match status {
            RecordStatus::Content(_) => self.after(Place::Content(len as usize)),
            RecordStatus::Failed(code) => {
                piece.codes.push(code);
                self.after(Place::Reason(len as usize));
            }
        }
    }

    /// Goes to a place, or past it if nothing is left of it.
    fn after(&mut self, place: Place) {
        self.place = match place {
            Place::Header(0) if self.kind == Some(StreamKind::Records) => Place::Record,
            Place::Header(0) => Place::Raw,
            Place::Content(0) | Place::Reason(0) => Place::Record,
            Place::Kind
            | Place::Prefix
            | Place::Header(_)
            | Place::Raw
            | Place::Record
            | Place::Content(_)
            | Place::Reason(_) => place,
        };
    }

    /// Keeps bytes until there are `len` of them.
    fn keep<'a>(&mut self, bytes: &'a [u8], len: usize) -> (Option<Vec<u8>>, &'a [u8]) {
        let taken = (len - self.kept.len()).min(bytes.len());
        self.kept.extend_from_slice(&bytes[..taken]);
        let whole = (self.kept.len() == len).then(|| std::mem::take(&mut self.kept));
        (whole, &bytes[taken..])
    }
}

#[cfg(test)]
mod tests {
    use peerstream_types::{Codec, Ordinal};

    use super::*;

    fn stream() -> Vec<u8> {
        let mut bytes = vec![StreamKind::Records.byte()];
        bytes.extend_from_slice(&3u32.to_le_bytes());
        bytes.extend_from_slice(b"abc");
        let content = RecordStatus::Content(Codec::Plain);
        for (status, payload) in
            [(content, "12345"), (RecordStatus::Failed(Code::Changed), "why"), (content, "")]
        {
            let header = RecordHeader { ordinal: Ordinal(7), offset: 0, len: payload.len() as u32, status };
            bytes.extend_from_slice(&header.encode());
            bytes.extend_from_slice(payload.as_bytes());
        }
        bytes
    }

    #[test]
    fn a_stream_is_counted_the_same_however_it_is_cut() {
        let bytes = stream();
        for cut in 1..bytes.len() {
            let mut meter = Meter::default();
            let (mut payload, mut content, mut began, mut codes) = (0, 0, 0, Vec::new());
            for part in bytes.chunks(cut) {
                let piece = meter.take(part);
                payload += piece.payload;
                content += piece.content;
                began += u32::from(piece.began);
                codes.extend(piece.codes);
            }
            assert_eq!((began, content, payload), (1, 5, 3 * 24 + 8), "cut into {cut}");
            assert_eq!(codes, [Code::Changed]);
        }
    }

    #[test]
    fn pages_are_payload_and_no_content() {
        let mut bytes = vec![StreamKind::Inventory.byte(), 1, 0, 0, 0, 9];
        bytes.extend_from_slice(&[0; 100]);
        let piece = Meter::default().take(&bytes);
        assert_eq!((piece.payload, piece.content), (100, 0));
    }
}
