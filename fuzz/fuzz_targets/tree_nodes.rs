//! libFuzzer entry of [`peerstream_fuzz::tree_nodes`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    peerstream_fuzz::tree_nodes(data);
});
