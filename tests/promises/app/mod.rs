//! The app itself, as its two generations call the coordinator: whole conflicts, screen by screen, with the real Ably
//! SDK.

mod mode;
mod walks;
