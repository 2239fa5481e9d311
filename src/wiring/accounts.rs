//! Users' devices and preferences as HTTP sees them.

use std::sync::Arc;

use tandem_actors::{Refusal, domain::ids::UserId, ports::BoxFuture};

use crate::{
    http::ports::PushAccounts,
    push::{Devices, DevicesError, Preferences, PreferencesPatch, PushToken, Registration},
};

pub struct Accounts(pub Arc<Devices>);

type Answer<T> = BoxFuture<Result<T, Refusal>>;

impl PushAccounts for Accounts {
    fn register(&self, user: UserId, device: Registration) -> Answer<()> {
        let devices = self.0.clone();
        Box::pin(async move { devices.register(user, device).await.map_err(refusal) })
    }

    fn remove(&self, user: UserId, token: Option<PushToken>) -> Answer<()> {
        let devices = self.0.clone();
        Box::pin(async move {
            match token {
                Some(token) => devices.remove(user, token).await.map(drop),
                None => devices.remove_all(user).await,
            }
            .map_err(refusal)
        })
    }

    fn preferences(&self, user: UserId) -> Answer<Preferences> {
        let preferences = self.0.preferences(&user).map_err(Refusal::from);
        Box::pin(std::future::ready(preferences))
    }

    fn change_preferences(&self, user: UserId, patch: PreferencesPatch) -> Answer<Preferences> {
        let devices = self.0.clone();
        Box::pin(async move { devices.patch_preferences(user, patch).await.map_err(refusal) })
    }

    fn push_enabled(&self, user: &UserId) -> bool {
        self.0.pushes_enabled(user).unwrap_or_else(|error| {
            tracing::error!(%error, "devices cannot be read");
            false
        })
    }

    fn erase(&self, user: UserId) -> Answer<()> {
        let devices = self.0.clone();
        Box::pin(async move { devices.erase(user).await.map_err(refusal) })
    }
}

fn refusal(error: DevicesError) -> Refusal {
    Refusal::unavailable(error.to_string(), std::time::Duration::from_secs(1))
}
