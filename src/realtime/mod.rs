//! realtime

pub mod cloud;
pub mod webhook;
