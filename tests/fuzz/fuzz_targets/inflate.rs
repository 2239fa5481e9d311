#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tandem_intake::fuzz_tests::inflate(bytes));
