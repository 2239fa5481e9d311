//! Promises, checked from outside.

mod realtime;
