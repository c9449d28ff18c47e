//! libFuzzer entry of [`peerstream_fuzz::message`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    peerstream_fuzz::message(data);
});
