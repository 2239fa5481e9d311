//! Any bytes give a frame or an error, and what is accepted comes back the same from both formats.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tandem_ably::{Format, exercise};

fuzz_target!(|bytes: &[u8]| exercise(Format::Msgpack, bytes));
