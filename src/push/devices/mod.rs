//! The devices of users. A user has several devices. A device belongs to the user who registered it last, so that a
//! shared phone never shows pushes of its former user. Each change is one commit: the rows of the users and of the
//! tokens' owners change together.

mod changed;
mod deaths;
mod held;

use std::sync::Arc;

use parking_lot::Mutex;
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use tandem_actors::{
    domain::ids::UserId,
    journal::{CommitError, Journal},
    keys,
    ports::{self, Change, Clock, Store, StoreError},
    records,
};

use self::{changed::ChangedUsers, deaths::Retirements};
use super::{
    guard::Guard,
    preferences::{Preferences, PreferencesPatch},
    reach::{Device, Reach, Registration},
    rows,
    tokens::PushToken,
};

#[derive(Clone, Debug, thiserror::Error)]
pub enum DevicesError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error("the change was interrupted")]
    Interrupted,
}

/// The user that a token belongs to.
#[derive(Serialize, Deserialize)]
struct Owner {
    user: UserId,
}

/// The devices and preferences of all users.
pub struct Devices {
    store: Arc<dyn Store>,
    journal: Journal,
    clock: Arc<dyn Clock>,
    per_user: usize,
    /// Recently requested users. An entry is never older than the store: a change replaces it after the commit, also
    /// while a miss is being filled.
    cache: Cache<UserId, Arc<Reach>>,
    guard: Mutex<Guard>,
    /// Held during a change. The owner of a token is read and written under it.
    changing: tokio::sync::Mutex<Retirements>,
    /// Notified when a held push has become due.
    released: tokio::sync::Notify,
}

/// Users whose devices are in memory.
const CACHED: usize = 50_000;

impl Devices {
    /// Reads the guard's counts; users are read when they are needed.
    pub fn new(
        store: Arc<dyn Store>,
        journal: Journal,
        clock: Arc<dyn Clock>,
        per_user: usize,
    ) -> Result<Arc<Self>, StoreError> {
        let guard = store.get(&rows::guard())?.map_or(Ok(Guard::default()), |row| records::decode(&row))?;
        Ok(Arc::new(Self {
            store,
            journal,
            clock,
            per_user: per_user.max(1),
            cache: Cache::new(CACHED),
            guard: Mutex::new(guard),
            changing: tokio::sync::Mutex::default(),
            released: tokio::sync::Notify::new(),
        }))
    }

    /// A user's devices and preferences.
    pub fn reach(&self, user: &UserId) -> Result<Arc<Reach>, StoreError> {
        self.cache.get_or_insert_with(user, || self.load(user).map(Arc::new))
    }

    /// The defaults, if the user has set nothing.
    pub fn preferences(&self, user: &UserId) -> Result<Preferences, StoreError> {
        Ok(self.reach(user)?.preferences.clone())
    }

    /// Whether the user gets pushes: the user has a usable device, and has not switched pushes off.
    pub fn pushes_enabled(&self, user: &UserId) -> Result<bool, StoreError> {
        let reach = self.reach(user)?;
        Ok(reach.preferences.push_enabled && reach.usable(self.clock.settled()).next().is_some())
    }

    /// Registers a device for the user, and takes it from its former user.
    pub async fn register(self: &Arc<Self>, user: UserId, registration: Registration) -> Result<(), DevicesError> {
        self.change(move |devices, _| {
            let time_zone = registration.known_time_zone().map(str::to_owned);
            let Registration { token, platform, locale, .. } = registration;
            let mut changed = ChangedUsers::default();
            if let Some(owner) = devices.owner(&token)?.filter(|owner| *owner != user) {
                let mut reach = devices.load(&owner)?;
                reach.devices.retain(|device| device.token != token);
                changed.put(owner, reach);
            }
            let mut reach = devices.load(&user)?;
            reach.devices.retain(|device| device.token != token);
            let registered_at = devices.clock.settled();
            changed
                .rows
                .push(Change::Put(keys::push_token(&token.digest()), records::encode(&Owner { user: user.clone() })));
            reach.devices.push(Device {
                platform: Some(platform),
                locale,
                time_zone,
                ..Device::new(token, registered_at)
            });
            let surplus = reach.devices.len().saturating_sub(devices.per_user);
            changed.disown(reach.devices.drain(..surplus));
            changed.put(user, reach);
            Ok(changed)
        })
        .await
    }

    /// Removes one device. Returns whether it was this user's.
    pub async fn remove(self: &Arc<Self>, user: UserId, token: PushToken) -> Result<bool, DevicesError> {
        let known = self.load(&user)?.devices.iter().any(|device| device.token == token);
        self.remove_where(user, move |device| device.token == token).await?;
        Ok(known)
    }

    /// Removes all devices of the user.
    pub async fn remove_all(self: &Arc<Self>, user: UserId) -> Result<(), DevicesError> {
        self.remove_where(user, |_| true).await
    }

    /// Deletes devices, tokens and preferences of an erased account.
    pub async fn erase(self: &Arc<Self>, user: UserId) -> Result<(), DevicesError> {
        self.change(move |devices, _| {
            let mut changed = ChangedUsers::default();
            changed.disown(devices.load(&user)?.devices.into_iter());
            changed.users.push((user, None));
            Ok(changed)
        })
        .await
    }

    /// Changes the preferences that the patch names, and returns all of them.
    pub async fn patch_preferences(
        self: &Arc<Self>,
        user: UserId,
        patch: PreferencesPatch,
    ) -> Result<Preferences, DevicesError> {
        let of = user.clone();
        let of_quiet_hours = patch.quiet_hours.is_some();
        self.change(move |devices, _| {
            let mut reach = devices.load(&user)?;
            reach.preferences.patch(patch);
            let mut changed = ChangedUsers::default();
            changed.put(user, reach);
            Ok(changed)
        })
        .await?;
        if of_quiet_hours {
            // In a commit after that of the preferences: a due push must not be decided by the former preferences.
            let user = of.clone();
            self.change(move |devices, _| {
                Ok(ChangedUsers {
                    rows: devices.release_held(&user, devices.clock.settled())?,
                    ..ChangedUsers::default()
                })
            })
            .await?;
            self.released.notify_one();
        }
        Ok(self.preferences(&of)?)
    }

    /// Waits until a held push has become due.
    pub(super) async fn released(&self) {
        self.released.notified().await;
    }

    async fn remove_where(
        self: &Arc<Self>,
        user: UserId,
        goes: impl Fn(&Device) -> bool + Send + 'static,
    ) -> Result<(), DevicesError> {
        self.change(move |devices, _| {
            let reach = devices.load(&user)?;
            let (gone, kept): (Vec<_>, Vec<_>) = reach.devices.into_iter().partition(|device| goes(device));
            let mut changed = ChangedUsers::default();
            if !gone.is_empty() {
                changed.disown(gone.into_iter());
                changed.put(user, Reach { devices: kept, preferences: reach.preferences });
            }
            Ok(changed)
        })
        .await
    }

    /// Makes a change. It completes even if the caller is cancelled or does not wait for a stalled disk, so that the
    /// cache never misses a commit.
    async fn change(
        self: &Arc<Self>,
        decide: impl FnOnce(&Devices, &mut Retirements) -> Result<ChangedUsers, StoreError> + Send + 'static,
    ) -> Result<(), DevicesError> {
        let devices = self.clone();
        let whole = tokio::spawn(async move {
            let mut retirements = devices.changing.lock().await;
            let changed = decide(&devices, &mut retirements)?;
            if changed.is_empty() {
                return Ok(());
            }
            let (rows, users) = changed.into_parts();
            devices.journal.write_patiently(rows).await?;
            for (user, reach) in users {
                devices.cache.insert(user, Arc::new(reach.unwrap_or_default()));
            }
            Ok(())
        });
        self.journal.unless_stalled(whole).await?.unwrap_or(Err(DevicesError::Interrupted))
    }

    fn load(&self, user: &UserId) -> Result<Reach, StoreError> {
        let row = self.store.get(&rows::devices(user))?;
        row.map_or(Ok(Reach::default()), |row| records::decode(&row))
    }

    fn owner(&self, token: &PushToken) -> Result<Option<UserId>, StoreError> {
        let row = self.store.get(&keys::push_token(&token.digest()))?;
        row.map(|row| records::decode::<Owner>(&row).map(|owner| owner.user)).transpose()
    }
}

impl ports::Devices for Devices {
    fn has_push_token(&self, user: &UserId) -> bool {
        match self.reach(user) {
            Ok(reach) => reach.usable(self.clock.settled()).next().is_some(),
            Err(error) => {
                // A push without a device is closed with that reason. A push that is not decided would be lost without
                // a trace.
                tracing::error!(%error, "it cannot be read whether a user has a push token");
                true
            }
        }
    }
}
