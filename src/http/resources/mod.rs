//! The routes, one file for each resource. A handler names the command or the query and nothing else.

pub mod account;
pub mod agreements;
pub mod compact;
pub mod consents;
pub mod documentation;
pub mod empathy;
pub mod export;
pub mod invitations;
pub mod lifecycle;
pub mod needs;
pub mod node;
pub mod operator;
pub mod people;
pub mod push;
pub mod realtime;
pub mod service;
pub mod sessions;
pub mod stage4;
pub mod stages;
pub mod strategies;
pub mod tending;
pub mod webhooks;
pub mod witness;
