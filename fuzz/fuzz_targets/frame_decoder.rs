//! libFuzzer entry of [`peerstream_fuzz::frame_decoder`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    peerstream_fuzz::frame_decoder(data);
});
