//! Pushes: arrive once, or say why not.

mod canary;
mod devices;
mod dispatch;
mod official_sdk;
mod pace;
mod rig;
mod sigkill;
mod stalled;
