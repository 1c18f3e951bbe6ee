#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| shadowtap::app::fuzz_tls_records(data));
