//! What each fuzz target checks, once for libFuzzer and once for the smoke test of `peerstream-wire`
//! (`crates/wire/tests/fuzz_smoke.rs` includes this file).
//!
//! Every check takes any bytes, panics if a promise is broken, and says whether they were valid.

use std::fmt::Debug;
use std::mem::{Discriminant, discriminant};

use peerstream_wire::data::RecordHeader;
use peerstream_wire::{
    DataHeader, FrameDecoder, Framed, HelloMessage, InventoryPage, InventoryRun, Message, TreeNodes,
    WireError, frame,
};

/// The body of a control frame.
pub fn message(data: &[u8]) -> bool {
    body::<Message>(data)
}

/// The body of a frame of the Hello stream.
pub fn hello(data: &[u8]) -> bool {
    body::<HelloMessage>(data)
}

/// The body of a frame of an inventory stream.
pub fn inventory_page(data: &[u8]) -> bool {
    body::<InventoryPage>(data)
}

/// The body of the frame of an inventory stream that answers a request for a run.
pub fn inventory_run(data: &[u8]) -> bool {
    body::<InventoryRun>(data)
}

/// The body of the frame of a tree stream.
pub fn tree_nodes(data: &[u8]) -> bool {
    body::<TreeNodes>(data)
}

/// A data stream after its kind: the header as a frame, then record headers, each with its payload.
pub fn data_stream(data: &[u8]) -> bool {
    let mut decoder = FrameDecoder::<DataHeader>::new();
    decoder.push(data);
    let Ok(Some(header)) = decoder.next_frame() else { return false };
    reads_back(&header);
    let rest = decoder.into_rest();
    let mut rest = &rest[..];
    while let Some((bytes, behind)) = rest.split_first_chunk::<{ RecordHeader::LEN }>() {
        let Ok(record) = RecordHeader::decode(bytes) else { return false };
        assert_eq!(RecordHeader::decode(&record.encode()), Ok(record));
        let Some(next) = behind.get(record.len as usize..) else { return false };
        rest = next;
    }
    rest.is_empty()
}

/// A stream of frames, once whole and once in parts: both give the same. The first byte says which
/// messages and how many cuts, the next ones say where.
pub fn frame_decoder(data: &[u8]) -> bool {
    let Some((plan, data)) = data.split_first() else { return false };
    let cuts = usize::from(plan >> 1 & 7);
    let Some((cuts, stream)) = data.split_at_checked(cuts) else { return false };
    if plan & 1 == 0 { cut::<Message>(cuts, stream) } else { cut::<HelloMessage>(cuts, stream) }
}

/// What decodes is valid, is not longer encoded anew, and decodes to itself.
fn body<T: Framed + PartialEq + Debug>(data: &[u8]) -> bool {
    let Ok(value) = frame::decode::<T>(data) else { return false };
    let len = reads_back(&value);
    assert!(len <= data.len(), "{} bytes decoded, {len} encoded", data.len());
    true
}

fn reads_back<T: Framed + PartialEq + Debug>(value: &T) -> usize {
    let mut out = Default::default();
    frame::encode(value, &mut out).expect("what was decoded can be sent");
    assert_eq!(frame::decode::<T>(&out[4..]).as_ref(), Ok(value));
    out.len() - 4
}

/// Frames, and how the stream ended. The kind of an error only: its numbers may tell more when more
/// of a frame was there.
type Outcome<T> = (Vec<T>, Option<Discriminant<WireError>>);

fn cut<T: Framed + PartialEq + Debug>(cuts: &[u8], stream: &[u8]) -> bool {
    let mut places: Vec<usize> = cuts.iter().map(|cut| usize::from(*cut).min(stream.len())).collect();
    places.extend([0, stream.len()]);
    places.sort_unstable();
    let whole = run::<T>([stream].into_iter());
    let parts = run::<T>(places.windows(2).map(|pair| &stream[pair[0]..pair[1]]));
    assert_eq!(whole, parts, "cut at {places:?}");
    whole.1.is_none() && !whole.0.is_empty()
}

fn run<'a, T: Framed>(parts: impl Iterator<Item = &'a [u8]>) -> Outcome<T> {
    let mut decoder = FrameDecoder::<T>::new();
    let mut frames = Vec::new();
    for part in parts {
        decoder.push(part);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(discriminant(&error))),
            }
        }
    }
    let end = decoder.finish().err().map(|error| discriminant(&error));
    (frames, end)
}
