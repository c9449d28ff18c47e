//! libFuzzer entry of [`peerstream_fuzz::inventory_run`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    peerstream_fuzz::inventory_run(data);
});
