//! What Tandem promises, checked from outside against the real binary. A module for each subject.

mod harness;

mod conversation;
mod envelope;
mod gates;
mod invitations;
