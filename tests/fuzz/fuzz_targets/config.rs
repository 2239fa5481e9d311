#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tandem::fuzz_tests::config(bytes));
