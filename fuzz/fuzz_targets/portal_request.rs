#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| shadowtap::portal::wire::fuzz(data));
