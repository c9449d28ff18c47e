//! libFuzzer entry of [`peerstream_fuzz::data_stream`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    peerstream_fuzz::data_stream(data);
});
