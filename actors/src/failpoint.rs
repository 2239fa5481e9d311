//! Points at which a test can make an actor panic or freeze. In a release build `reach` is empty and nothing can be
//! armed.

/// The failpoints, in the order in which an actor reaches them.
pub const POINTS: [&str; 8] = [
    "activate",
    "before_decide",
    "after_apply",
    "after_append",
    "after_flush",
    "before_publish",
    "passivate",
    "before_removal",
];

#[cfg(debug_assertions)]
mod armed {
    use std::collections::HashMap;

    use parking_lot::Mutex;

    use crate::domain::ids::SessionId;

    /// What happens when an armed failpoint is reached.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Effect {
        /// The actor panics.
        Panic,
        /// Blocks the arbiter's thread.
        Freeze(std::time::Duration),
    }

    /// By session and failpoint: the effect, and how many more times it happens.
    type Points = HashMap<(SessionId, String), (Effect, u32)>;

    static ARMED: Mutex<Option<Points>> = Mutex::new(None);

    /// Arms a point for the next `times` passes of one session.
    pub fn arm(session: SessionId, point: &str, effect: Effect, times: u32) {
        ARMED.lock().get_or_insert_default().insert((session, point.to_owned()), (effect, times));
    }

    /// Applies the effect that is armed for the failpoint.
    pub fn reach(session: &SessionId, point: &'static str) {
        #[cfg(feature = "simulation")]
        super::hooked::reach(session, point);
        let mut armed = ARMED.lock();
        let Some(points) = armed.as_mut() else { return };
        let key = (session.clone(), point.to_owned());
        let Some((effect, left)) = points.get_mut(&key) else { return };
        let effect = *effect;
        *left -= 1;
        if *left == 0 {
            points.remove(&key);
        }
        drop(armed);
        match effect {
            Effect::Panic => panic!("failpoint {point}"),
            Effect::Freeze(duration) => std::thread::sleep(duration),
        }
    }
}

#[cfg(debug_assertions)]
pub use armed::{Effect, arm, reach};

/// In a simulation, a hook decides at each failpoint.
#[cfg(feature = "simulation")]
mod hooked {
    use std::cell::RefCell;

    use crate::domain::ids::SessionId;

    /// Whether the actor panics there.
    type Hook = Box<dyn FnMut(&SessionId, &'static str) -> bool>;

    thread_local! {
        static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
    }

    /// Asks `hook` at each point that an actor on this thread reaches.
    pub fn hook(hook: impl FnMut(&SessionId, &'static str) -> bool + 'static) {
        HOOK.set(Some(Box::new(hook)));
    }

    pub(super) fn reach(session: &SessionId, point: &'static str) {
        let harmed = HOOK.with_borrow_mut(|hook| hook.as_mut().is_some_and(|hook| hook(session, point)));
        if harmed {
            panic!("failpoint {point}");
        }
    }
}

#[cfg(feature = "simulation")]
pub use hooked::hook;

/// Only a simulation can arm anything in a release build.
#[cfg(all(not(debug_assertions), feature = "simulation"))]
pub fn reach(session: &crate::domain::ids::SessionId, point: &'static str) {
    hooked::reach(session, point);
}

/// Does nothing in a release build.
#[cfg(all(not(debug_assertions), not(feature = "simulation")))]
#[inline(always)]
pub fn reach(_: &crate::domain::ids::SessionId, _: &'static str) {}
