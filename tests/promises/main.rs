//! The promises, checked from outside.

mod cloud;
mod push;
