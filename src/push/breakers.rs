//! The circuit breakers of the push sender: for the service, for this node's access to it, and for each project's
//! credentials.

use std::{fmt, sync::Arc, time::Duration};

use dashmap::DashMap;
use tandem_actors::ports::Uptime;

use super::reach::Platform;
use crate::breaker::{Allowance, Breaker};

/// The credentials that Expo uses for a device: each project has one set for each platform.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CredentialScope {
    /// Absent until Expo names it. A node mostly serves one project.
    pub project: Option<Arc<str>>,
    pub platform: Option<Platform>,
}

impl fmt::Display for CredentialScope {
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
    projects: DashMap<CredentialScope, Arc<Breaker>>,
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
    pub fn project(&self, scope: &CredentialScope) -> Arc<Breaker> {
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
    pub fn allowance(&self, now: Uptime) -> Allowance {
        match (self.service.allowance(now), self.access.allowance(now)) {
            (Allowance::NoneFor(one), Allowance::NoneFor(other)) => Allowance::NoneFor(one.max(other)),
            (shut @ Allowance::NoneFor(_), _) | (_, shut @ Allowance::NoneFor(_)) => shut,
            (Allowance::All, Allowance::All) => Allowance::All,
            _ => Allowance::Trial,
        }
    }

    /// Begins a trial of both.
    pub fn begin_trial(&self, now: Uptime) {
        self.service.admit(now);
        self.access.admit(now);
    }
}
