//! What the node can bear. Nothing that strangers, or one user, send, withhold or flood takes more than this: what
//! waits or is kept has a limit in bytes, and each of those who ask has a share.

mod admission;
mod config;
mod files;
mod line;
mod turns;

use std::sync::Arc;

use tandem_intake::{Budget, Intake};

pub use self::{
    admission::{Admission, Overload, Slot},
    config::LimitSettings,
    files::connections_that_fit,
};
use crate::connections::Registry;

/// The limits of one node, for all workers.
pub struct NodeLimits {
    pub connections: Arc<Registry>,
    pub intake: Arc<Intake>,
    pub admission: Arc<Admission>,
    /// Bytes of large answers under way.
    pub answers: Arc<Budget>,
}

impl NodeLimits {
    /// Updates the metrics of what is held now.
    pub fn measure(&self) {
        let (running, waiting) = self.admission.load();
        for (name, value) in [("running", running), ("waiting", waiting)] {
            metrics::gauge!("tandem_http_requests_admitted", "state" => name).set(value as f64);
        }
        metrics::gauge!("tandem_http_body_bytes").set(self.intake.bytes() as f64);
        metrics::gauge!("tandem_http_answer_bytes").set(self.answers.taken() as f64);
    }
}
