//! Logs panics. The standard hook writes to stderr itself, and would block if the reader is stuck. Only literal
//! messages are logged, because a formatted message may hold private text.

use std::backtrace::{Backtrace, BacktraceStatus};

const NOT_SHOWN: &str = "the message is not shown, because it may hold private text";

pub(super) fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        let message = panic.payload().downcast_ref::<&'static str>().copied().unwrap_or(NOT_SHOWN);
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("unnamed");
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            tracing::error!(thread = name, place, message, %backtrace, "a thread panicked");
        } else {
            tracing::error!(thread = name, place, message, "a thread panicked");
        }
        if name == "main" {
            super::stderr::flush();
        }
    }));
}
