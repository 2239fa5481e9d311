//! What Tandem promises, checked from outside. One binary, a module for each subject.

mod cloud;
mod push;
mod realtime;
mod store;
