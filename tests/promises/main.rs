//! What Tandem promises, checked from outside against the real binary. A module for each subject.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as promised")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a test says what it measured, or why it was skipped")]

mod harness;
mod sdk_packages;

mod account;
mod acme;
mod agreements;
mod app;
mod auth;
mod backup;
mod browser;
mod canary;
mod channel;
mod cloud;
mod command_line;
mod commands;
mod compaction;
mod consent;
mod console;
mod conversation;
mod devices;
mod durability;
mod empathy;
mod encryption;
mod envelope;
mod erasure;
mod gates;
mod handbook;
mod indexes;
mod invitations;
mod keeping;
mod lifecycle;
mod limits;
mod listing;
mod logging;
mod matrix;
mod monitoring;
mod needs;
mod nudge;
mod own_data;
mod people;
mod postgres;
mod presence;
mod provider;
mod push;
mod quarantine;
mod realtime;
mod renewal;
mod replays;
mod retention;
mod routing;
mod service;
mod service_manager;
mod settings;
mod stage4;
mod starting;
mod stored;
mod strangers;
mod strategies;
mod supervision;
mod surface;
mod timing;
mod traces;
mod typed_client;
