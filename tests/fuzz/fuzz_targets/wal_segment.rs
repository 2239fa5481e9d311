#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tandem_wal::fuzz_tests::segment(bytes));
