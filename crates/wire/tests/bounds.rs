//! Every collection, text and number with a limit: what is at the limit decodes, one more does not.
//!
//! Bodies are made of tuples of plain vectors, which postcard encodes like the structs of the
//! protocol, so that they can hold what the bounded types refuse to.
#![expect(clippy::unwrap_used, reason = "all of this file is test code")]

use std::collections::BTreeSet;
use std::path::Path;

use bytes::BytesMut;
use peerstream_types::entry::{KEY_LEN_MAX, METADATA_LEN_MAX};
use peerstream_types::manifest::STATE_LEN_MAX;
use peerstream_types::name::NAME_LEN_MAX;
use peerstream_types::page::TOKEN_LEN_MAX;
use peerstream_types::position::POSITION_PART_LEN_MAX;
use peerstream_wire::limits::{
    EXTENSION_LEN_MAX, EXTENSIONS_MAX, OUTLINE_VALUES_MAX, PAGE_ENTRIES_MAX, PREPARE_ITEMS_MAX,
    REASON_LEN_MAX, RECORD_LEN_MAX, RETRY_AFTER_MS_MAX, SELECTOR_KEYS_MAX, SPANS_MAX, TRACE_LEN_MAX,
    TREE_NODES_MAX,
};
use peerstream_wire::message::{FetchV1, PrepareV1};
use peerstream_wire::{
    Bounded, DataHeader, Extensions, Framed, HelloMessage, InventoryPage, InventoryRun, Message,
    RecordHeader, Text, TreeNodes, WireError, frame,
};
use serde::Serialize;

/// One limit: a field, its limit, a body that has `n` there, and the decoder of that body.
struct Case {
    field: &'static str,
    max: usize,
    body: Box<dyn Fn(usize) -> Vec<u8>>,
    decode: fn(&[u8]) -> Result<(), WireError>,
}

fn case<T: Framed, V: Serialize>(
    field: &'static str,
    max: usize,
    body: impl Fn(usize) -> V + 'static,
) -> Case {
    let body = Box::new(move |n| postcard::to_stdvec(&body(n)).unwrap());
    Case { field, max, body, decode: |body| frame::decode::<T>(body).map(drop) }
}

fn control<V: Serialize>(field: &'static str, max: usize, body: impl Fn(usize) -> V + 'static) -> Case {
    case::<Message, V>(field, max, body)
}

type Extension = (u16, Vec<u8>);
type Shard = (String, u64, u32);
/// Chunk size, counts, digest, position, state.
type Header = (u8, (u64, u64), Option<(u8, [u8; 32])>, Option<(String, u64, Vec<u8>)>, Vec<u8>);
/// Selector `All`, as its variant.
const ALL: u8 = 0;
const NONE: [u8; 0] = [];

fn list<T: Clone>(item: T, n: usize) -> Vec<T> {
    vec![item; n]
}

fn text(n: usize) -> String {
    "x".repeat(n)
}

fn extensions(n: usize) -> Vec<Extension> {
    list((7, vec![]), n)
}

fn no_list() -> Vec<u8> {
    vec![]
}

fn shard(name_len: usize) -> Shard {
    (text(name_len), 1, 2)
}

fn header(state: usize, log: usize, token: usize) -> Header {
    (18, (0, 0), Some((0, [1; 32])), Some((text(log), 0, list(0, token))), list(0, state))
}

/// A span of one whole entry.
const SPAN: (u8, u64, u32) = (0, 5, 1);

fn init(trace: usize, more: usize, cluster: usize) -> impl Serialize {
    (0u8, (0u16, 0u16), 1u128, 0u32, (0u8, 0u8), text(cluster), 1u64, text(trace), extensions(more))
}

fn session_cases() -> Vec<Case> {
    vec![
        control("InitV1.trace", TRACE_LEN_MAX, |n| init(n, 0, 1)),
        control("InitV1.extensions", EXTENSIONS_MAX, |n| init(0, n, 1)),
        control("InitV1.cluster", NAME_LEN_MAX, |n| init(0, 0, n)),
        control("InitAckV1.extensions", EXTENSIONS_MAX, |n| {
            (1u8, 0u16, 0u64, 1u64, (1u32, 1u64), extensions(n))
        }),
        control("RefuseV1.reason", REASON_LEN_MAX, |n| (2u8, 6u8, text(n), 0u64, extensions(0))),
        control("RefuseV1.extensions", EXTENSIONS_MAX, |n| (2u8, 6u8, text(0), 0u64, extensions(n))),
        control("RefuseV1.retry_after_ms", RETRY_AFTER_MS_MAX as usize, |n| {
            (2u8, 6u8, text(0), n as u64, extensions(0))
        }),
        control("CompleteV1.extensions", EXTENSIONS_MAX, |n| (12u8, 0u64, 0u64, 0u64, extensions(n))),
        control("KeepAlive.extensions", EXTENSIONS_MAX, |n| (13u8, extensions(n))),
        control("Extension.value", EXTENSION_LEN_MAX, |n| (13u8, list((7u16, list(0u8, n)), 1))),
        control("ThrottleV1.extensions", EXTENSIONS_MAX, |n| (14u8, 0u64, extensions(n))),
        control("GoAwayV1.extensions", EXTENSIONS_MAX, |n| (15u8, 0u64, extensions(n))),
        control("AbortV1.reason", REASON_LEN_MAX, |n| (16u8, 12u8, text(n), extensions(0))),
        control("AbortV1.extensions", EXTENSIONS_MAX, |n| (16u8, 12u8, text(0), extensions(n))),
    ]
}

fn prepare_cases() -> Vec<Case> {
    let request = || (shard(1), ALL);
    let offer = || (1u64, shard(1), ALL, header(0, 0, 0));
    let refusal = |reason: usize| (shard(1), ALL, 3u8, text(reason));
    let refuse = move |requests: usize, offers: usize, reason: usize, more: usize| {
        let (requests, offers) = (list(refusal(reason), requests), list(refusal(reason), offers));
        (4u8, no_list(), requests, offers, false, extensions(more))
    };
    let one = |offer| (3u8, no_list(), list(offer, 1), false, no_list());
    vec![
        control("PrepareV1.requests", PREPARE_ITEMS_MAX, move |n| {
            (3u8, list(request(), n), no_list(), false, no_list())
        }),
        control("PrepareV1.offers", PREPARE_ITEMS_MAX, move |n| {
            (3u8, no_list(), list(offer(), n), false, no_list())
        }),
        control("PrepareV1.extensions", EXTENSIONS_MAX, |n| {
            (3u8, no_list(), no_list(), false, extensions(n))
        }),
        control("PrepareAckV1.offers", PREPARE_ITEMS_MAX, move |n| {
            (4u8, list(offer(), n), (no_list(), no_list()), false, no_list())
        }),
        control("PrepareAckV1.refused_requests", PREPARE_ITEMS_MAX, move |n| refuse(n, 0, 0, 0)),
        control("PrepareAckV1.refused_offers", PREPARE_ITEMS_MAX, move |n| refuse(0, n, 0, 0)),
        control("PrepareAckV1.extensions", EXTENSIONS_MAX, move |n| refuse(0, 0, 0, n)),
        control("RefusalV1.reason", REASON_LEN_MAX, move |n| refuse(1, 1, n, 0)),
        control("ShardId.dataset", NAME_LEN_MAX, move |n| one((1u64, shard(n), ALL, header(0, 0, 0)))),
        control("ManifestHeader.state", STATE_LEN_MAX, move |n| one((1u64, shard(1), ALL, header(n, 0, 0)))),
        control("Position.log", POSITION_PART_LEN_MAX, move |n| one((1u64, shard(1), ALL, header(0, n, 0)))),
        control("Position.token", POSITION_PART_LEN_MAX, move |n| {
            one((1u64, shard(1), ALL, header(0, 0, n)))
        }),
        control("Selector.Entries", SELECTOR_KEYS_MAX, |n| {
            let keys: Vec<[u8; 3]> = (0..n as u16).map(|at| [2, (at >> 8) as u8, at as u8]).collect();
            // A key is its length (here 2) and its bytes, so arrays of three bytes are keys.
            let requests = (1u8, shard(1), 1u8, keys);
            (3u8, requests, no_list(), false, no_list())
        }),
    ]
}

fn transfer_cases() -> Vec<Case> {
    let ids = (1u64, 1u64);
    vec![
        control("FetchV1.spans", SPANS_MAX, move |n| (7u8, ids, list(SPAN, n), 1u32, extensions(0))),
        control("FetchV1.extensions", EXTENSIONS_MAX, move |n| {
            (7u8, ids, list(SPAN, 1), 1u32, extensions(n))
        }),
        control("FetchFailedV1.spans", SPANS_MAX, |n| (8u8, 1u64, list(SPAN, n), 3u8, text(0))),
        control("FetchFailedV1.reason", REASON_LEN_MAX, |n| (8u8, 1u64, list(SPAN, 1), 3u8, text(n))),
        control("ReceivedV1.spans", SPANS_MAX, |n| (9u8, 1u64, list(SPAN, n))),
        control("ReleaseV1.spans", SPANS_MAX, |n| (10u8, 1u64, list(SPAN, n), 0u8)),
        control("HaveV1.spans", SPANS_MAX, |n| (11u8, 1u64, list(SPAN, n))),
        control("OutlineRequestV1.range", OUTLINE_VALUES_MAX as usize, move |n| {
            (6u8, ids, 1u64, 0u8, (0u64, n as u32))
        }),
        control("RunRequestV1.count", PAGE_ENTRIES_MAX, move |n| (18u8, ids, 1u64, n as u32)),
        control("InventoryRequestV1.token", TOKEN_LEN_MAX, move |n| (5u8, ids, list(0u8, n), 1u32)),
    ]
}

/// An entry with a key of its ordinal, so that a page of them ascends.
fn entry(ordinal: u16, key_len: usize, metadata: usize) -> impl Serialize {
    let mut key = ordinal.to_be_bytes().to_vec();
    key.resize(key_len, 0);
    ((u64::from(ordinal), key, 0u64), NONE, 0u8, (0u8, 0u8), list(0u8, metadata))
}

fn stream_cases() -> Vec<Case> {
    let page = |entries: u16, key_len: usize, metadata: usize| {
        let entries: Vec<_> = (0..entries).map(|at| entry(at, key_len, metadata)).collect();
        (0u8, entries, (0u8, Some(header(0, 0, 0))))
    };
    let hello = |n| (0u8, (0u16, 0u16), 0u64, 1u64, 0u8, extensions(n));
    vec![
        case::<InventoryPage, _>("InventoryPageV1.entries", PAGE_ENTRIES_MAX, move |n| page(n as u16, 2, 0)),
        case::<InventoryPage, _>("Entry.key", KEY_LEN_MAX, move |n| page(3, n, 0)),
        case::<InventoryPage, _>("Entry.metadata", METADATA_LEN_MAX, move |n| page(3, 2, n)),
        case::<InventoryRun, _>("InventoryRunV1.entries", PAGE_ENTRIES_MAX, |n| {
            (0u8, (0..n as u16).map(|at| entry(at, 2, 0)).collect::<Vec<_>>())
        }),
        case::<TreeNodes, _>("TreeNodesV1.nodes", TREE_NODES_MAX, |n| {
            let node = |at: u16| ((2u8, at.to_be_bytes()), 1u64, 0u64, (0u8, [0u8; 32]));
            (0u8, 0u8, Some((0..n as u16).map(node).collect::<Vec<_>>()))
        }),
        case::<HelloMessage, _>("HelloV1.extensions", EXTENSIONS_MAX, hello),
        case::<HelloMessage, _>("WelcomeV1.extensions", EXTENSIONS_MAX, |n| {
            (1u8, 0u16, 0u64, 1u64, extensions(n))
        }),
        case::<HelloMessage, _>("UnwelcomeV1.reason", REASON_LEN_MAX, |n| (2u8, 5u8, text(n))),
        case::<DataHeader, _>("DataHeaderV1.extensions", EXTENSIONS_MAX, |n| {
            (0u8, 1u128, 0u32, 0u8, 1u64, extensions(n))
        }),
    ]
}

fn cases() -> Vec<Case> {
    [session_cases(), prepare_cases(), transfer_cases(), stream_cases()].into_iter().flatten().collect()
}

/// P-12: at its limit everything decodes; one more is refused, and not because the frame is too long.
#[test]
fn one_more_than_the_limit_is_refused() {
    for Case { field, max, body, decode } in cases() {
        assert_eq!(decode(&body(max)), Ok(()), "{field} at its limit");
        let error = decode(&body(max + 1)).expect_err(field);
        let refused = matches!(error, WireError::Malformed { .. } | WireError::Invalid { .. });
        assert!(refused, "{field}: {error}");
    }
}

/// The bounded fields of the messages, as the source declares them: `InitV1.trace`.
fn declared(dir: &Path, found: &mut BTreeSet<String>) {
    for file in std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()) {
        if file.is_dir() {
            declared(&file, found);
            continue;
        }
        let mut name = String::new();
        for line in std::fs::read_to_string(&file).unwrap().lines() {
            if let Some(rest) = line.strip_prefix("pub struct ") {
                name = rest.split([' ', '<', '(']).next().unwrap().to_owned();
            }
            let Some((field, of)) = line.strip_prefix("    pub ").and_then(|line| line.split_once(": "))
            else {
                continue;
            };
            if ["Bounded<", "Text<", "Extensions"].iter().any(|bounded| of.starts_with(bounded)) {
                found.insert(format!("{name}.{field}"));
            }
        }
    }
}

/// P-12: a bounded field that is added without a case above fails here.
#[test]
fn every_bounded_field_has_a_case() {
    let mut fields = BTreeSet::new();
    declared(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut fields);
    assert!(fields.len() > 25, "the source reads differently now: {fields:?}");
    let covered: BTreeSet<String> = cases().iter().map(|case| case.field.to_owned()).collect();
    let missing: Vec<_> = fields.difference(&covered).collect();
    assert!(missing.is_empty(), "without a case: {missing:?}");
}

/// P-13: a declared length is not believed. Four billion items in ten bytes fail at once, also where
/// the type itself has no limit but the frame.
#[test]
fn a_declared_length_costs_nothing() {
    let huge = [0xff, 0xff, 0xff, 0xff, 0x0f];
    let spans = [&[9, 1][..], &huge, &[0, 1, 1]].concat();
    let keys = [&[3, 1, 1, b'x', 1, 2, 1][..], &huge, &[1, b'a']].concat();
    let trace = [&[0, 0, 0, 1, 0, 0, 0, 1, b'c', 1][..], &huge].concat();
    for body in [spans, keys, trace] {
        let error = frame::decode::<Message>(&body).unwrap_err();
        assert!(matches!(error, WireError::Malformed { .. }), "{error}");
    }
}

/// P-38: lengths in record headers have limits too, one for content and one for reasons.
#[test]
fn a_record_longer_than_its_limit_is_refused() {
    let header = |len: u32, status: u8| {
        let mut bytes = [0; RecordHeader::LEN];
        bytes[16..20].copy_from_slice(&len.to_le_bytes());
        bytes[20] = status;
        RecordHeader::decode(&bytes)
    };
    for (max, status) in [(RECORD_LEN_MAX, 0), (REASON_LEN_MAX as u32, 3)] {
        assert!(header(max, status).is_ok());
        assert!(matches!(header(max + 1, status), Err(WireError::FrameTooLong { .. })));
    }
}

/// P-15: what a peer would refuse is not encoded, and the buffer stays as it was.
#[test]
fn a_value_that_a_peer_would_refuse_is_not_sent() {
    let nothing = FetchV1 {
        request: peerstream_types::FetchId(1),
        offer: peerstream_types::OfferId(1),
        spans: Bounded::new(),
        attempt: 1,
        extensions: Extensions::default(),
    };
    let too_long = vec![0; STATE_LEN_MAX + 1];
    let header = peerstream_types::ManifestHeader {
        chunk_size: peerstream_types::ChunkSize::DEFAULT,
        counts: peerstream_types::EntryCounts::default(),
        digest: None,
        position: None,
        state: too_long,
    };
    let offer = peerstream_wire::message::OfferV1 {
        offer: peerstream_types::OfferId(1),
        shard: "m@1/2".parse().unwrap(),
        selector: peerstream_types::Selector::All,
        header,
    };
    let prepare = PrepareV1 {
        requests: Bounded::new(),
        offers: vec![offer].try_into().unwrap(),
        more: false,
        extensions: Extensions::default(),
    };
    for message in [Message::Fetch(nothing), Message::Prepare(prepare)] {
        let mut out = BytesMut::from(&b"before"[..]);
        assert!(matches!(frame::encode(&message, &mut out), Err(WireError::Invalid { .. })));
        assert_eq!(&out[..], b"before");
    }
}

/// P-44: a text from a peer is cut at a character, and shown without control characters.
#[test]
fn a_peers_text_cannot_move_the_cursor() {
    assert_eq!(Text::<4>::cut("aaaü").as_str(), "aaa");
    assert_eq!(Text::<64>::cut("a\x1b[2J\r\n").to_string(), "a\\u{1b}[2J\\r\\n");
    assert!(Text::<4>::try_from("aaaaa".to_owned()).is_err());
}
