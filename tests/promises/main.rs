//! What Tandem promises, checked from outside against the real binary. A module for each subject.

mod harness;
mod sdk_packages;

mod account;
mod agreements;
mod app;
mod auth;
mod canary;
mod channel;
mod cloud;
mod commands;
mod consent;
mod conversation;
mod devices;
mod durability;
mod empathy;
mod envelope;
mod gates;
mod invitations;
mod lifecycle;
mod listing;
mod needs;
mod nudge;
mod people;
mod provider;
mod push;
mod realtime;
mod routing;
mod settings;
mod stage4;
mod starting;
mod store;
mod strangers;
mod strategies;
mod supervision;
mod surface;
