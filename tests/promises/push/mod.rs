//! Pushes: arrive once, or say why not.

mod canary;
mod devices;
mod dispatch;
mod official_sdk;
mod rig;
mod sigkill;
