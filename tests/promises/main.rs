//! What Tandem promises, checked from outside. One binary, a module for each subject.

mod push;
mod store;
