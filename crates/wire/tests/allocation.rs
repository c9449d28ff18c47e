//! Memory that a frame costs while it decodes is at most a small multiple of its length.
//!
//! One test to a file: the allocator is counted for the whole process.
#![expect(clippy::unwrap_used, reason = "all of this file is test code")]

use std::alloc::System;

use peerstream_wire::limits::{PAGE_ENTRIES_MAX, SPANS_MAX};
use peerstream_wire::{Framed, InventoryPage, Message, frame};
use serde::Serialize;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes allocated for each byte of a frame, at most. The worst is a page of one-byte keys: an entry
/// of ten bytes becomes one of 96 with a key of its own, in a vector that doubles as it grows.
const FACTOR: usize = 16;
/// Bytes allocated at most whatever the length: errors, small vectors.
const FLOOR: usize = 4096;

fn cost<T: Framed>(what: &str, valid: bool, body: &impl Serialize) {
    let body = postcard::to_stdvec(body).unwrap();
    let region = Region::new(ALLOCATOR);
    let decoded = frame::decode::<T>(&body);
    let allocated = region.change().bytes_allocated;
    let allowed = FLOOR + FACTOR * body.len();
    assert!(allocated <= allowed, "{what}: {allocated} bytes for {} of a frame", body.len());
    assert_eq!(decoded.is_ok(), valid, "{what}");
}

/// P-13: frames made to cost as much as they can, valid and not.
#[test]
fn a_frame_costs_a_small_multiple_of_its_length() {
    let entry = |at: u16| ((u64::from(at), at.to_be_bytes().to_vec(), 0u64), [0u8; 4]);
    let entries = |n: usize| (0..n as u16).map(entry).collect::<Vec<_>>();
    let seal = (0u8, 1u8, 18u8, [0u8; 2], (1u8, 0u8, [0u8; 32]), [0u8; 2]);
    cost::<InventoryPage>("a full page", true, &(0u8, entries(PAGE_ENTRIES_MAX), seal));
    cost::<InventoryPage>("a page of one too many", false, &(0u8, entries(PAGE_ENTRIES_MAX + 1), seal));
    cost::<InventoryPage>("a page cut short", false, &(0u8, entries(PAGE_ENTRIES_MAX)));

    let spans = |n: usize| vec![(0u8, 1u64, 1u32); n];
    cost::<Message>("a full Received", true, &(9u8, 1u64, spans(SPANS_MAX)));
    cost::<Message>("a Received of one too many", false, &(9u8, 1u64, spans(SPANS_MAX + 1)));

    let keys = vec![[1u8, b'k']; 500_000];
    cost::<Message>(
        "a selector of equal keys",
        false,
        &(3u8, (1u8, 1u8, b'm', 1u8, 2u8, 1u8), keys, [0u8; 3]),
    );
    let huge = [0xffu8, 0xff, 0xff, 0xff, 0x0f];
    cost::<Message>(
        "a selector that declares billions",
        false,
        &(3u8, (1u8, 1u8, b'm', 1u8, 2u8, 1u8), huge),
    );
    cost::<Message>("a trace that declares billions", false, &([0u8, 0, 0, 1, 0, 0, 0, 1, b'c', 1], huge));
    cost::<Message>("spans that declare billions", false, &(9u8, 1u8, huge, spans(1)));
}
