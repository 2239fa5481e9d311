//! Operations, and sets of them.

use std::collections::BTreeSet;

macro_rules! operations {
    ($($variant:ident = $name:literal),* $(,)?) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Operation { $($variant),* }

        impl Operation {
            pub fn name(self) -> &'static str {
                match self { $(Operation::$variant => $name),* }
            }

            pub(super) fn named(name: &str) -> Option<Self> {
                match name { $($name => Some(Operation::$variant),)* _ => None }
            }

            #[cfg(any(test, fuzzing))]
            pub(super) const ALL: &'static [Operation] = &[$(Operation::$variant),*];
        }
    };
}

// The operations stand in the order of their names, which is the order of canonical JSON.
operations! {
    AnnotationPublish = "annotation-publish",
    AnnotationSubscribe = "annotation-subscribe",
    ChannelMetadata = "channel-metadata",
    History = "history",
    MessageDeleteAny = "message-delete-any",
    MessageDeleteOwn = "message-delete-own",
    MessageUpdateAny = "message-update-any",
    MessageUpdateOwn = "message-update-own",
    ObjectPublish = "object-publish",
    ObjectSubscribe = "object-subscribe",
    Presence = "presence",
    PrivilegedHeaders = "privileged-headers",
    Publish = "publish",
    PushAdmin = "push-admin",
    PushSubscribe = "push-subscribe",
    Stats = "stats",
    Subscribe = "subscribe",
}

/// A set of operations. `*` is all operations, including those that Ably adds later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operations {
    All,
    Some(BTreeSet<Operation>),
}

impl Operations {
    pub fn has(&self, operation: Operation) -> bool {
        match self {
            Operations::All => true,
            Operations::Some(set) => set.contains(&operation),
        }
    }

    pub fn intersect(&self, other: &Operations) -> Operations {
        match (self, other) {
            (Operations::All, other) => other.clone(),
            (own, Operations::All) => own.clone(),
            (Operations::Some(own), Operations::Some(other)) => Operations::Some(own & other),
        }
    }

    pub fn unite(&mut self, other: Operations) {
        match (&mut *self, other) {
            (Operations::All, _) => {}
            (own, Operations::All) => *own = Operations::All,
            (Operations::Some(own), Operations::Some(other)) => own.extend(other),
        }
    }

    pub fn is_empty(&self) -> bool {
        matches!(self, Operations::Some(set) if set.is_empty())
    }

    pub fn names(&self) -> Vec<&'static str> {
        match self {
            Operations::All => vec!["*"],
            Operations::Some(set) => set.iter().map(|operation| operation.name()).collect(),
        }
    }
}
