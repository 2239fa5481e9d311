#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tandem_ably::fuzz_tests::frame_msgpack(bytes));
