//! The version of this build.

/// Version, commit and date, as `0.1.0 (0123456789 2026-11-28)`; without commit and date if the build did not know
/// them.
pub const VERSION: &str = env!("TANDEM_VERSION");
