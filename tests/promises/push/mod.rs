//! Pushes: arrive once, or say why not.

mod devices;
mod dispatch;
mod rig;
