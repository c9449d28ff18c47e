//! Records joined into few writes.

use bytes::{Bytes, BytesMut};
use peerstream_shape::shaper::WRITE_LEN_MAX;
use peerstream_snapshot::{Content, SourceError};
use peerstream_types::{Codec, Ordinal};
use peerstream_wire::limits::REASON_LEN_MAX;
use peerstream_wire::{RecordHeader, RecordStatus, Text};

use super::code_of;

/// Content up to this size is copied behind its header, into one write with its neighbours; what is
/// larger is handed over as it is, for copying it would cost more than another write.
const JOIN_MAX: usize = 16 * 1024;

/// Joins records into writes of at most [`WRITE_LEN_MAX`]; large content is a write of its own.
#[derive(Debug, Default)]
pub(super) struct Packer {
    writes: Vec<Bytes>,
    open: BytesMut,
    content: u64,
}

impl Packer {
    /// Adds an entry of at most one chunk, or says why it cannot be had.
    pub(super) fn whole(&mut self, Content { entry, bytes }: Content) {
        match bytes {
            // No bytes are no chunk.
            Ok(bytes) if bytes.is_empty() => {}
            Ok(bytes) => self.content(entry.ordinal, entry.codec, 0, bytes),
            Err(error) => self.failed(entry.ordinal, 0, &error),
        }
    }

    /// Adds a chunk.
    pub(super) fn content(&mut self, ordinal: Ordinal, codec: Codec, offset: u64, bytes: Bytes) {
        self.content += bytes.len() as u64;
        self.record(ordinal, offset, RecordStatus::Content(codec), bytes);
    }

    /// Says why an entry cannot be had.
    pub(super) fn failed(&mut self, ordinal: Ordinal, offset: u64, error: &SourceError) {
        let reason = Text::<REASON_LEN_MAX>::cut(&error.to_string());
        let bytes = Bytes::copy_from_slice(reason.as_str().as_bytes());
        self.record(ordinal, offset, RecordStatus::Failed(code_of(error)), bytes);
    }

    /// What is to be written, and how many bytes of content that is.
    pub(super) fn finish(mut self) -> (Vec<Bytes>, u64) {
        self.close();
        (self.writes, self.content)
    }

    fn record(&mut self, ordinal: Ordinal, offset: u64, status: RecordStatus, bytes: Bytes) {
        let len = u32::try_from(bytes.len()).expect("a chunk is at most 16 MiB");
        let header = RecordHeader { ordinal, offset, len, status }.encode();
        let joins = bytes.len() <= JOIN_MAX;
        let more = header.len() + if joins { bytes.len() } else { 0 };
        if self.open.len() + more > WRITE_LEN_MAX {
            self.close();
        }
        self.open.extend_from_slice(&header);
        if joins {
            self.open.extend_from_slice(&bytes);
        } else {
            self.close();
            self.writes.push(bytes);
        }
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.writes.push(std::mem::take(&mut self.open).freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(lens: &[usize]) -> (Vec<Bytes>, u64) {
        let mut packer = Packer::default();
        for (ordinal, len) in (0..).zip(lens) {
            packer.content(Ordinal(ordinal), Codec::Plain, 0, Bytes::from(vec![7; *len]));
        }
        packer.finish()
    }

    /// D12: what small records cost is paid per write of 64 KiB, not per record.
    #[test]
    fn small_records_share_writes() {
        let (writes, content) = packed(&[1024; 250]);
        assert_eq!(content, 250 * 1024);
        assert_eq!(writes.len(), (250_usize).div_ceil(WRITE_LEN_MAX / 1048));
        assert!(writes.iter().all(|write| write.len() <= WRITE_LEN_MAX));
        assert_eq!(writes.iter().map(Bytes::len).sum::<usize>(), 250 * 1048);
    }

    #[test]
    fn large_content_is_not_copied() {
        let content = Bytes::from(vec![7; JOIN_MAX + 1]);
        let mut packer = Packer::default();
        packer.content(Ordinal(0), Codec::Plain, 0, Bytes::from_static(b"small"));
        packer.content(Ordinal(1), Codec::Plain, 0, content.clone());
        let (writes, _) = packer.finish();
        let lens: Vec<usize> = writes.iter().map(Bytes::len).collect();
        assert_eq!(lens, [24 + 5 + 24, JOIN_MAX + 1]);
        assert_eq!(writes[1].as_ptr(), content.as_ptr());
    }
}
