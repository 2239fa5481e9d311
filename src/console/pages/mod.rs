//! The pages, one file each.

pub mod backups;
pub mod changes;
pub mod now;
pub mod people;
pub mod push;
pub mod realtime;
pub mod session;
pub mod sessions;
pub mod settings;
