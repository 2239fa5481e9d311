#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tandem_actors::fuzz_tests::record(bytes));
