//! libFuzzer entry of [`peerstream_fuzz::hello`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    peerstream_fuzz::hello(data);
});
