//! Several nodes use one PostgreSQL database. One of them owns it. The others stand by, and pass each connection on to
//! the owner. The database says who the owner is (`tandem_store::Member`, `tandem_store::Standby`). [`Door`] takes and
//! passes on the connections of a node that stands by.

mod answers;
mod config;
mod door;
mod pass;

use std::{sync::Arc, time::Duration};

pub use self::{
    config::FleetSettings,
    door::{Door, Entrance},
};
use crate::{connections::Registry, store::Member};

const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Ends all connections when the lease was not renewed in time. Another node may be the owner then, and clients must
/// find it. Never returns.
pub async fn watch_lease(member: Arc<Member>, connections: Arc<Registry>) {
    let mut held = true;
    loop {
        let holds = member.held.holds();
        metrics::gauge!("tandem_fleet_owner").set(f64::from(u8::from(holds)));
        match (held, holds) {
            (true, false) => {
                tracing::error!("the lease of the database was not renewed in time: nothing is answered until it is");
                connections.end_all();
            }
            (false, true) => tracing::info!("the lease of the database is renewed again"),
            _ => {}
        }
        held = holds;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
