//! The bytes of everything that travels are pinned: a change of the encoding is a change of
//! `golden.txt`, seen in review. `UPDATE_GOLDEN=1 cargo test -p peerstream-wire --test golden` writes it anew.
#![expect(clippy::unwrap_used, reason = "all of this file is test code")]

#[path = "common/pinned.rs"]
mod pinned;
#[path = "common/samples.rs"]
mod samples;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Write as _};

use bytes::BytesMut;
use peerstream_wire::{Code, FrameDecoder, Framed, HelloMessage, Message, RecordHeader, StreamKind, frame};

const UPDATE: &str = "UPDATE_GOLDEN";
const HEAD: &str = "# Golden bytes of protocol 1, `name hex` a line; frames with their length prefix.
# Written by `UPDATE_GOLDEN=1 cargo test -p peerstream-wire --test golden`. A line that changes breaks every
# node in the field: see `Versioning and evolution` in docs/protocol.md first.
";

fn framed<T: Framed>(value: &T) -> Vec<u8> {
    let mut out = BytesMut::new();
    frame::encode(value, &mut out).unwrap();
    out.to_vec()
}

/// Every golden value, encoded by this code.
fn encoded() -> BTreeMap<String, Vec<u8>> {
    let mut all: Vec<(String, Vec<u8>)> = Vec::new();
    all.extend(samples::messages().into_iter().map(|(name, value)| (name, framed(&value))));
    all.extend(samples::hellos().into_iter().map(|(name, value)| (name, framed(&value))));
    all.extend(samples::pages().into_iter().map(|(name, value)| (name, framed(&value))));
    all.extend(samples::runs().into_iter().map(|(name, value)| (name, framed(&value))));
    all.extend(samples::trees().into_iter().map(|(name, value)| (name, framed(&value))));
    all.extend(samples::data_headers().into_iter().map(|(name, value)| (name, framed(&value))));
    all.extend(samples::records().into_iter().map(|(name, value)| (name, value.encode().to_vec())));
    let (name, value) = samples::chaining_value();
    all.push((name, value.0.to_vec()));
    all.extend(StreamKind::ALL.map(|kind| (format!("StreamKind/{kind:?}"), vec![kind.byte()])));
    all.extend(Code::ALL.map(|code| (format!("Code/{code:?}"), postcard::to_stdvec(&code).unwrap())));
    let (count, all) = (all.len(), BTreeMap::from_iter(all));
    assert_eq!(all.len(), count, "two golden values have one name");
    all
}

fn write(encoded: &BTreeMap<String, Vec<u8>>) {
    let mut text = HEAD.to_owned();
    for (name, bytes) in encoded {
        write!(text, "{name} ").unwrap();
        bytes.iter().for_each(|byte| write!(text, "{byte:02x}").unwrap());
        text.push('\n');
    }
    std::fs::write(pinned::path(), text).unwrap();
}

/// P-16: the encoding of every kind of message is what it was; no name is missing, none is left over.
#[test]
fn encodings_are_as_pinned() {
    let encoded = encoded();
    if std::env::var_os(UPDATE).is_some() {
        write(&encoded);
    }
    let pinned = pinned::load();
    let names = |map: &BTreeMap<String, Vec<u8>>| map.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&encoded), names(&pinned), "{UPDATE}=1 adds new names and drops old ones");
    for (name, bytes) in &encoded {
        assert_eq!(bytes, &pinned[name], "{name} is encoded in another way than it was");
    }
}

fn reads_back<T: Framed + PartialEq + Debug>(samples: Vec<(String, T)>) {
    let pinned = pinned::load();
    for (name, value) in samples {
        let mut decoder = FrameDecoder::<T>::new();
        decoder.push(&pinned[&name]);
        assert_eq!(decoder.next_frame(), Ok(Some(value)), "{name}");
        assert_eq!(decoder.finish(), Ok(()), "{name}");
    }
}

/// P-16: bytes that a node in the field sends today mean the same tomorrow.
#[test]
fn pinned_frames_decode_to_their_values() {
    reads_back(samples::messages());
    reads_back(samples::hellos());
    reads_back(samples::pages());
    reads_back(samples::runs());
    reads_back(samples::trees());
    reads_back(samples::data_headers());
}

/// P-16, for what is not a frame.
#[test]
fn pinned_fixed_layouts_decode_to_their_values() {
    let pinned = pinned::load();
    for (name, header) in samples::records() {
        let bytes = pinned[&name].as_slice().try_into().unwrap();
        assert_eq!(RecordHeader::decode(bytes), Ok(header), "{name}");
    }
    for kind in StreamKind::ALL {
        assert_eq!(StreamKind::try_from(pinned[&format!("StreamKind/{kind:?}")][0]), Ok(kind));
    }
    for code in Code::ALL {
        let bytes = &pinned[&format!("Code/{code:?}")];
        assert_eq!((bytes.as_slice(), Code::from_number(bytes[0])), (&[code.number()][..], code));
        assert_eq!(postcard::from_bytes::<Code>(bytes), Ok(code));
    }
}

/// The first byte of a message's encoding, for ever. A new variant does not compile until it has one.
fn tag(message: &Message) -> u8 {
    match message {
        Message::Init(_) => 0,
        Message::InitAck(_) => 1,
        Message::Refuse(_) => 2,
        Message::Prepare(_) => 3,
        Message::PrepareAck(_) => 4,
        Message::InventoryRequest(_) => 5,
        Message::OutlineRequest(_) => 6,
        Message::Fetch(_) => 7,
        Message::FetchFailed(_) => 8,
        Message::Received(_) => 9,
        Message::Release(_) => 10,
        Message::Have(_) => 11,
        Message::Complete(_) => 12,
        Message::KeepAlive(_) => 13,
        Message::Throttle(_) => 14,
        Message::GoAway(_) => 15,
        Message::Abort(_) => 16,
        Message::TreeRequest(_) => 17,
        Message::RunRequest(_) => 18,
    }
}

fn hello_tag(message: &HelloMessage) -> u8 {
    match message {
        HelloMessage::Hello(_) => 0,
        HelloMessage::Welcome(_) => 1,
        HelloMessage::Unwelcome(_) => 2,
    }
}

/// The tags that a decoder knows: one that it knows ends too early, one that it does not is refused.
fn known_tags<T: Framed>() -> BTreeSet<u8> {
    let ends_early = |tag: &u8| {
        matches!(postcard::from_bytes::<T>(&[*tag]), Err(postcard::Error::DeserializeUnexpectedEnd))
    };
    (0..0x80).filter(ends_early).collect()
}

fn pinned_tags<T: Framed>(samples: Vec<(String, T)>, tag: fn(&T) -> u8) -> BTreeSet<u8> {
    samples
        .into_iter()
        .map(|(name, value)| {
            assert_eq!(framed(&value)[4], tag(&value), "{name} has moved");
            tag(&value)
        })
        .collect()
}

/// P-16: no variant without golden bytes, none in another place.
#[test]
fn every_variant_is_pinned_in_its_place() {
    assert_eq!(pinned_tags(samples::messages(), tag), known_tags::<Message>());
    assert_eq!(pinned_tags(samples::hellos(), hello_tag), known_tags::<HelloMessage>());
}
