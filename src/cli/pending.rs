//! Commands whose rooms are not in the house yet.

use std::net::SocketAddr;

use tandem_actors::domain::ids::{Seq, SessionId};

use super::{Failure, Outcome};
use crate::config::Settings;

fn missing(command: &str) -> Outcome {
    Err(Failure::new(format_args!("{command} is not built in")))
}

pub fn serve(_settings: Settings) -> Outcome {
    missing("serve")
}

pub fn demo(_settings: Settings, _keep: bool) -> Outcome {
    missing("demo")
}

pub fn check(_settings: Settings) -> Outcome {
    missing("check")
}

pub fn release_session(_settings: Settings, _session: SessionId) -> Outcome {
    missing("session release")
}

pub fn explain_session(_settings: Settings, _session: SessionId, _seq: Option<Seq>) -> Outcome {
    missing("session why")
}

pub fn fake_expo(_settings: Settings, _listen: SocketAddr) -> Outcome {
    missing("fake-expo")
}
