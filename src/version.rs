//! Which version this is.

/// Version, commit and date, as `0.1.0 (0123456789 2026-11-28)`; without a commit if the build did not know it.
pub const VERSION: &str = env!("TANDEM_VERSION");
