//! The pure domain, family by family and as a whole.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as promised")]

mod agreements;
mod announcements;
mod app_empathy;
mod app_mode;
mod app_needs;
mod compact;
mod consent;
mod consent_records;
mod empathy;
mod golden;
mod invitation;
mod lifecycle;
mod moves;
mod needs;
mod privacy;
mod progress;
mod properties;
mod records;
mod requests;
mod sample;
mod schemas;
mod stage4;
mod stage4_mixed;
mod stage4_texts;
mod strategies;
mod tending;
mod tending_golden;
mod viewed;
mod world;
