//! What Tandem promises, checked from outside against the real binary. A module for each subject.

mod harness;

mod agreements;
mod consent;
mod conversation;
mod empathy;
mod envelope;
mod gates;
mod invitations;
mod lifecycle;
mod listing;
mod needs;
mod nudge;
mod strangers;
mod strategies;
