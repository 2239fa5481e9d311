//! Safeguards that are switched off, for tests that have to notice it. Debug builds only.

/// What `TANDEM_DEBUG_POSTGRES` switches off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sabotage {
    /// Nothing.
    None,
    /// A group is written whoever owns the shard.
    Unfenced,
    /// A group is acknowledged before the database has got it.
    Early,
}

/// How much later the database gets a group.
pub(super) const LATE: std::time::Duration = std::time::Duration::from_millis(300);

pub(super) fn of_this_process() -> Sabotage {
    match std::env::var("TANDEM_DEBUG_POSTGRES").as_deref() {
        Ok("unfenced") if cfg!(debug_assertions) => Sabotage::Unfenced,
        Ok("early") if cfg!(debug_assertions) => Sabotage::Early,
        _ => Sabotage::None,
    }
}

impl Sabotage {
    pub fn statement(self, fenced: &'static str) -> String {
        match self {
            Self::Unfenced => fenced
                .replace("owner = $1 AND epoch = $2", "($1::text, $2::bigint) IS NOT NULL")
                // The numbers are a fence as well: two nodes would write the same.
                .replace("SELECT $6 FROM held", "SELECT $6 FROM held WHERE false"),
            Self::None | Self::Early => fenced.to_owned(),
        }
    }
}
