//! The promises, checked from outside.

mod push;
