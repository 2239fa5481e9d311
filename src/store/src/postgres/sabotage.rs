//! Switches off single safeguards, for tests that must notice it. A release build has no such switch.

#[cfg(debug_assertions)]
pub(super) use self::debug::Sabotage;
#[cfg(not(debug_assertions))]
pub(super) use self::release::Sabotage;

#[cfg(debug_assertions)]
mod debug {
    use std::time::Duration;

    /// What `TANDEM_DEBUG_POSTGRES` switches off.
    #[derive(Clone, Copy)]
    pub enum Sabotage {
        Nothing,
        /// A group is written although another node owns the shard.
        Fence,
        /// A group is acknowledged before the database has it.
        Waiting,
    }

    impl Sabotage {
        pub fn of_this_process() -> Self {
            match std::env::var("TANDEM_DEBUG_POSTGRES").as_deref() {
                Ok("unfenced") => Self::Fence,
                Ok("early") => Self::Waiting,
                _ => Self::Nothing,
            }
        }

        pub fn statement(self, fenced: &'static str) -> String {
            if !self.is_unfenced() {
                return fenced.to_owned();
            }
            fenced
                .replace("owner = $1 AND epoch = $2", "($1::text, $2::bigint) IS NOT NULL")
                // The number of the group is another safeguard: two nodes would write the same number.
                .replace("SELECT $6 FROM held", "SELECT $6 FROM held WHERE false")
        }

        pub fn is_unfenced(self) -> bool {
            matches!(self, Self::Fence)
        }

        /// How long after its acknowledgement a group is written.
        pub fn delay(self) -> Option<Duration> {
            matches!(self, Self::Waiting).then_some(Duration::from_millis(300))
        }
    }
}

#[cfg(not(debug_assertions))]
mod release {
    use std::time::Duration;

    #[derive(Clone, Copy)]
    pub struct Sabotage;

    impl Sabotage {
        pub fn of_this_process() -> Self {
            Self
        }

        pub fn statement(self, fenced: &'static str) -> String {
            fenced.to_owned()
        }

        pub fn is_unfenced(self) -> bool {
            false
        }

        pub fn delay(self) -> Option<Duration> {
            None
        }
    }
}
