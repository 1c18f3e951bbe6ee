#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| shadowtap::app::http2_fuzzing::connection(data));
