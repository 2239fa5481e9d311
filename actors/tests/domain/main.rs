//! The pure domain, family by family and as a whole.

mod agreements;
mod announcements;
mod app_mode;
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
mod requests;
mod schemas;
mod stage4;
mod stage4_mixed;
mod stage4_words;
mod strategies;
mod tending;
mod tending_golden;
mod viewed;
mod world;
