//! Frames: caps that hold before a body is there, versions that do not know each other.
#![expect(clippy::unwrap_used, reason = "all of this file is test code")]

use bytes::{BufMut, BytesMut};
use peerstream_wire::extension::Extension;
use peerstream_wire::limits::{
    CONTROL_FRAME_MAX, DATA_HEADER_FRAME_MAX, HELLO_FRAME_MAX, PAGE_FRAME_MAX, PREPARE_FRAME_MAX,
};
use peerstream_wire::message::{AbortV1, KeepAlive};
use peerstream_wire::{
    Code, DataHeader, Extensions, FrameDecoder, Framed, HelloMessage, InventoryPage, InventoryRun, Message,
    RecordHeader, RecordStatus, Text, TreeNodes, WireError, frame,
};

/// The begin of a frame: its length and the first byte of its body, if that has come.
fn begin<T: Framed>(len: usize, tag: Option<u8>) -> Result<Option<T>, WireError> {
    let mut decoder = FrameDecoder::<T>::new();
    decoder.push(&u32::try_from(len).unwrap().to_le_bytes());
    decoder.push(tag.as_slice());
    decoder.next_frame()
}

fn cap_is<T: Framed + PartialEq + std::fmt::Debug>(tag: u8, max: usize) {
    assert_eq!(begin::<T>(max, Some(tag)), Ok(None), "tag {tag} at its cap waits for its body");
    let refused = WireError::FrameTooLong { what: T::WHAT, len: max + 1, max };
    assert_eq!(begin::<T>(max + 1, Some(tag)), Err(refused), "tag {tag} over its cap");
    assert!(begin::<T>(u32::MAX as usize, None).is_err(), "4 GiB are too much for anything");
}

/// P-08: a frame over the cap of its kind is refused on its first five bytes.
#[test]
fn a_frame_over_its_cap_is_refused_before_its_body() {
    for tag in 0..=u8::MAX {
        let prepare = tag == 3 || tag == 4;
        cap_is::<Message>(tag, if prepare { PREPARE_FRAME_MAX } else { CONTROL_FRAME_MAX });
        cap_is::<HelloMessage>(tag, HELLO_FRAME_MAX);
    }
    cap_is::<InventoryPage>(0, PAGE_FRAME_MAX);
    cap_is::<InventoryRun>(0, PAGE_FRAME_MAX);
    cap_is::<TreeNodes>(0, PAGE_FRAME_MAX);
    cap_is::<DataHeader>(0, DATA_HEADER_FRAME_MAX);
}

/// P-08: a first byte that is not written in the shortest way does not get the larger cap.
#[test]
fn a_padded_variant_number_gains_no_room() {
    let mut body = vec![0x83, 0];
    body.resize(CONTROL_FRAME_MAX + 1, 0);
    assert!(matches!(frame::decode::<Message>(&body), Err(WireError::FrameTooLong { .. })));
}

/// P-07: a frame of no bytes is no message, whatever follows it.
#[test]
fn an_empty_frame_is_an_error() {
    let mut decoder = FrameDecoder::<Message>::new();
    decoder.push(&[0, 0, 0, 0, 13, 0]);
    assert!(matches!(decoder.next_frame(), Err(WireError::Malformed { .. })));
}

/// P-18: a variant of a newer protocol is an error that names what was expected, not a crash, and
/// takes nothing else with it.
#[test]
fn an_unknown_variant_is_a_clean_error() {
    let unknown = |error: Result<(), WireError>| matches!(error, Err(WireError::Malformed { .. }));
    for tag in [19, 0x7f] {
        assert!(unknown(frame::decode::<Message>(&[tag, 0, 0, 0]).map(drop)), "{tag}");
    }
    assert!(unknown(frame::decode::<HelloMessage>(&[3, 0]).map(drop)));
    assert!(unknown(frame::decode::<DataHeader>(&[1, 0]).map(drop)));
    assert!(unknown(frame::decode::<InventoryPage>(&[1, 0]).map(drop)));
    assert!(unknown(frame::decode::<InventoryRun>(&[1, 0]).map(drop)));
    assert!(unknown(frame::decode::<TreeNodes>(&[1, 0]).map(drop)));
    // A selector of a kind that is not known yet, in a Prepare with one request.
    assert!(unknown(frame::decode::<Message>(&[3, 1, 1, b'm', 1, 2, 9, 0, 0, 0]).map(drop)));
}

/// P-17: extensions that nobody here knows are skipped, and kept for those who look.
#[test]
fn unknown_extensions_are_skipped_and_kept() {
    let newer = |tag, value: &[u8]| Extension { tag, value: value.to_vec().try_into().unwrap() };
    let all = vec![newer(0xbeef, b"from 1.9"), newer(0, b""), newer(u16::MAX, &[0; 1000])];
    let extensions = Extensions(all.try_into().unwrap());
    let mut out = BytesMut::new();
    frame::encode(&Message::KeepAlive(KeepAlive { extensions: extensions.clone() }), &mut out).unwrap();
    let read = frame::decode::<Message>(&out[4..]).unwrap();
    assert_eq!(read, Message::KeepAlive(KeepAlive { extensions: extensions.clone() }));
    assert_eq!(extensions.get(0xbeef), Some(&b"from 1.9"[..]));
    assert_eq!(extensions.get(1), None);
}

/// P-21: a code of a newer peer costs its meaning and not the message.
#[test]
fn an_unknown_code_reads_as_internal() {
    let abort = |code| AbortV1 { code, reason: Text::cut("x"), extensions: Extensions::default() };
    for number in [0, 16, 200, 255] {
        let read = frame::decode::<Message>(&[16, number, 1, b'x', 0]);
        assert_eq!(read, Ok(Message::Abort(abort(Code::Internal))));
    }
    let mut record = RecordHeader {
        ordinal: peerstream_types::Ordinal(1),
        offset: 0,
        len: 0,
        status: RecordStatus::Failed(Code::Full),
    }
    .encode();
    record[20] = 200;
    assert_eq!(RecordHeader::decode(&record).unwrap().status, RecordStatus::Failed(Code::Internal));
}

/// P-38: spare bytes, codecs that are not known, and a codec beside a failure are refused.
#[test]
fn a_record_header_has_no_room_for_anything_else() {
    let header = |status: u8, codec: u8, spare: u16| {
        let mut bytes = BytesMut::from(&[0; 20][..]);
        bytes.put_slice(&[status, codec]);
        bytes.put_u16_le(spare);
        RecordHeader::decode(bytes[..].try_into().unwrap())
    };
    assert!(header(0, 0, 0).is_ok() && header(3, 0, 0).is_ok());
    for (status, codec, spare) in [(0, 1, 0), (0, 0, 1), (0, 0, 0x100), (3, 1, 0)] {
        let error = header(status, codec, spare).unwrap_err();
        assert!(matches!(error, WireError::Invalid { .. }), "{error}");
    }
}

/// P-19: a version range that ends before it begins is refused, in Hello and in Init.
#[test]
fn a_version_range_upside_down_is_refused() {
    let hello = frame::decode::<HelloMessage>(&[0, 2, 1, 0, 1, 0, 0]);
    assert!(matches!(hello, Err(WireError::Invalid { .. })), "{hello:?}");
    let init = frame::decode::<Message>(&[0, 2, 1, 1, 0, 0, 0, 1, b'c', 1, 0, 0]);
    assert!(matches!(init, Err(WireError::Invalid { .. })), "{init:?}");
}

/// P-14: requests for nothing are refused: they would wait for an answer that has no end.
#[test]
fn a_request_for_nothing_is_refused() {
    let inventory = [5, 1, 1, 0, 0];
    let outline = [6, 1, 1, 1, 0, 0, 0];
    let fetch = [7, 1, 1, 0, 1, 0];
    let empty_span = [7, 1, 1, 1, 0, 5, 0, 1, 0];
    for body in [&inventory[..], &outline, &fetch, &empty_span] {
        let error = frame::decode::<Message>(body).unwrap_err();
        assert!(matches!(error, WireError::Invalid { .. }), "{error}");
    }
    let past_the_end = Message::Received(peerstream_wire::message::ReceivedV1 {
        offer: peerstream_types::OfferId(1),
        spans: vec![peerstream_types::Span::entry(peerstream_types::Ordinal(u64::MAX))].try_into().unwrap(),
    });
    assert!(past_the_end.validate().is_err());
}
