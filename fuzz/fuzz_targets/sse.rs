#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| shadowtap::content::fuzz_sse(data));
