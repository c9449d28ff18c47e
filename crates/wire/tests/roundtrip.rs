//! What is encoded decodes to itself, however the bytes are cut; what is not an encoding is an error.
#![expect(clippy::unwrap_used, reason = "all of this file is test code")]

#[path = "common/strategy.rs"]
mod strategy;

use std::fmt::Debug;

use bytes::BytesMut;
use peerstream_wire::{
    DataHeader, FrameDecoder, Framed, HelloMessage, InventoryPage, RecordHeader, WireError, frame,
};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

fn framed<T: Framed>(value: &T) -> Vec<u8> {
    let mut out = BytesMut::new();
    frame::encode(value, &mut out).unwrap();
    out.to_vec()
}

/// Feeds `parts` one after another and takes every frame as soon as it is whole.
fn frames<'a, T: Framed>(parts: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<T>, WireError> {
    let mut decoder = FrameDecoder::new();
    let mut taken = Vec::new();
    for part in parts {
        decoder.push(part);
        while let Some(frame) = decoder.next_frame()? {
            taken.push(frame);
        }
    }
    decoder.finish().map(|()| taken)
}

fn reads_back<T: Framed + PartialEq + Debug>(value: &T) {
    assert_eq!(frame::decode::<T>(&framed(value)[4..]).as_ref(), Ok(value));
}

/// A cut body is refused everywhere, and so is one that something follows.
fn only_the_whole_decodes<T: Framed + Debug>(value: &T) {
    let mut body = framed(value).split_off(4);
    for end in 0..body.len() {
        assert!(frame::decode::<T>(&body[..end]).is_err(), "{end} of {} bytes decode", body.len());
    }
    body.push(0);
    let error = frame::decode::<T>(&body).unwrap_err();
    assert!(matches!(error, WireError::Malformed { .. }), "{error}");
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, rng_seed: RngSeed::Fixed(7), failure_persistence: None, ..Default::default() }
}

proptest! {
    #![proptest_config(config(512))]

    /// P-07
    #[test]
    fn control_messages_read_back(message in strategy::message()) {
        reads_back(&message);
    }

    /// P-07
    #[test]
    fn hello_messages_read_back(hello in strategy::hello()) {
        reads_back(&hello);
    }

    /// P-07
    #[test]
    fn inventory_pages_read_back(page in strategy::page()) {
        reads_back(&page);
    }

    /// P-07
    #[test]
    fn runs_and_trees_read_back(run in strategy::run(), tree in strategy::tree()) {
        reads_back(&run);
        reads_back(&tree);
    }

    /// P-07
    #[test]
    fn data_headers_read_back(header in strategy::data_header()) {
        reads_back(&header);
    }

    /// P-38
    #[test]
    fn record_headers_read_back(record in strategy::record()) {
        prop_assert_eq!(RecordHeader::decode(&record.encode()), Ok(record));
    }

    /// P-38: a record header is 24 bytes of which any may be hostile.
    #[test]
    fn any_record_header_is_read_or_refused(bytes in any::<[u8; RecordHeader::LEN]>()) {
        if let Ok(header) = RecordHeader::decode(&bytes) {
            prop_assert_eq!(RecordHeader::decode(&header.encode()), Ok(header));
        }
    }
}

proptest! {
    #![proptest_config(config(64))]

    /// P-09: two frames in two reads, for every place between the reads.
    #[test]
    fn a_cut_anywhere_changes_nothing(first in strategy::message(), second in strategy::message()) {
        let bytes = [framed(&first), framed(&second)].concat();
        let whole = vec![first, second];
        for at in 0..=bytes.len() {
            let (left, right) = bytes.split_at(at);
            let parts = frames([left, right]);
            prop_assert_eq!(parts.as_ref(), Ok(&whole), "cut at {}", at);
        }
        prop_assert_eq!(frames(bytes.chunks(1)), Ok(whole));
    }

    /// P-07: truncated bodies and bodies with something behind them are errors, for messages of all streams.
    #[test]
    fn nothing_but_the_whole_body_decodes(
        message in strategy::message(),
        hello in strategy::hello(),
        page in strategy::page(),
        run in strategy::run(),
        tree in strategy::tree(),
        header in strategy::data_header(),
    ) {
        only_the_whole_decodes(&message);
        only_the_whole_decodes(&hello);
        only_the_whole_decodes(&page);
        only_the_whole_decodes(&run);
        only_the_whole_decodes(&tree);
        only_the_whole_decodes(&header);
    }

    /// P-09: a stream that ends inside a frame says so, one that ends between frames does not.
    #[test]
    fn a_stream_that_ends_inside_a_frame_is_truncated(hello in strategy::hello()) {
        let bytes = framed(&hello);
        for end in 1..bytes.len() {
            let error = frames::<HelloMessage>([&bytes[..end]]).unwrap_err();
            prop_assert_eq!(error, WireError::Truncated { what: "hello" });
        }
        prop_assert_eq!(frames::<HelloMessage>([]), Ok(vec![]));
    }

    /// P-09: what follows the header of a data stream is handed on untouched.
    #[test]
    fn bytes_behind_a_header_are_kept(header in strategy::data_header(), rest in any::<Vec<u8>>()) {
        let mut decoder = FrameDecoder::<DataHeader>::new();
        decoder.push(&framed(&header));
        decoder.push(&rest);
        prop_assert_eq!(decoder.next_frame(), Ok(Some(header)));
        prop_assert_eq!(decoder.into_rest(), rest);
    }

    /// P-36: a page out of order does not decode.
    #[test]
    fn a_page_out_of_order_is_refused(page in strategy::page()) {
        let InventoryPage::V1(mut page) = page;
        prop_assume!(page.entries.len() > 1);
        let mut entries = page.entries.into_vec();
        entries.reverse();
        page.entries = entries.try_into().unwrap();
        let body = postcard::to_stdvec(&InventoryPage::V1(page)).unwrap();
        let error = frame::decode::<InventoryPage>(&body).unwrap_err();
        prop_assert!(matches!(error, WireError::Invalid { .. }), "{}", error);
    }
}
