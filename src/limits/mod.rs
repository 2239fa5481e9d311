//! Limits on what the node holds for its clients. Everything that waits or is kept has a limit in bytes or in number,
//! and each address and each user has a share of it. So neither strangers nor one user can exhaust the node, whether
//! they flood it, send slowly or take no answers.

mod admission;
mod concurrency;
mod config;
mod fair_queue;
mod files;
mod late_users;
mod rounds;
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
        metrics::gauge!("tandem_http_requests_limit").set(self.admission.limit() as f64);
        metrics::gauge!("tandem_http_body_bytes").set(self.intake.bytes() as f64);
        metrics::gauge!("tandem_http_answer_bytes").set(self.answers.taken() as f64);
        metrics::gauge!("tandem_http_unread_bytes").set(self.connections.unread() as f64);
    }
}
