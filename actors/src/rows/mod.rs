//! The rows of the store: how their keys are laid out, and what their values hold.

pub(crate) mod compacted;
pub mod keys;
pub(crate) mod pages;
pub mod records;
