#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tandem_store::fuzz_tests::group(bytes));
