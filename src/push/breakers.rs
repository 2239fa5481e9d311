//! The circuit breakers of the push sender: for the service, for this node's access to it, and for each project's
//! credentials.

use std::{fmt, sync::Arc, time::Duration};

use dashmap::DashMap;
use tandem_actors::ports::Uptime;

use super::reach::Platform;
use crate::breaker::{Breaker, Pass};

/// The credentials that Expo uses for a device: each project has one set for each platform.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// Absent until Expo names it. A node mostly serves one project.
    pub project: Option<Arc<str>>,
    pub platform: Option<Platform>,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let platform = match self.platform {
            Some(Platform::Ios) => "iOS",
            Some(Platform::Android) => "Android",
            None => "all platforms",
        };
        write!(f, "credentials of {} for {platform}", self.project.as_deref().unwrap_or("the only project"))
    }
}

/// All breakers of the sender.
pub struct Breakers {
    /// Whether the service answers.
    pub service: Arc<Breaker>,
    /// Whether it lets this node in.
    pub access: Arc<Breaker>,
    projects: DashMap<Scope, Arc<Breaker>>,
}

impl Default for Breakers {
    fn default() -> Self {
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        Self {
            service: Breaker::new("service", 5, 2 * second, minute).into(),
            access: Breaker::new("access", 1, 30 * second, 10 * minute).into(),
            projects: DashMap::new(),
        }
    }
}

impl Breakers {
    pub fn project(&self, scope: &Scope) -> Arc<Breaker> {
        let new = || Breaker::new("project", 3, Duration::from_secs(30), Duration::from_secs(30 * 60)).into();
        self.projects.entry(scope.clone()).or_insert_with(new).clone()
    }

    /// Each breaker with what it is for.
    pub fn all(&self) -> Vec<(String, Arc<Breaker>)> {
        let projects = self.projects.iter().map(|entry| (entry.key().to_string(), entry.value().clone()));
        let whole = [("Expo's service", &self.service), ("access to Expo", &self.access)];
        whole.map(|(name, breaker)| (name.to_owned(), breaker.clone())).into_iter().chain(projects).collect()
    }

    /// What the two breakers of the whole node allow together.
    pub fn look(&self, now: Uptime) -> Pass {
        match (self.service.look(now), self.access.look(now)) {
            (Pass::NobodyFor(one), Pass::NobodyFor(other)) => Pass::NobodyFor(one.max(other)),
            (shut @ Pass::NobodyFor(_), _) | (_, shut @ Pass::NobodyFor(_)) => shut,
            (Pass::All, Pass::All) => Pass::All,
            _ => Pass::Trial,
        }
    }

    /// Begins a trial of both.
    pub fn begin_trial(&self, now: Uptime) {
        self.service.pass(now);
        self.access.pass(now);
    }
}
