#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| shadowtap::app::http2_fuzz::connection(data));
