//! The users of the node. A user is created from the claims of the first token that names them, durably before the
//! first answer. After that, a request costs one lookup in memory.

mod profile;

use std::{hash::BuildHasher, sync::Arc};

use quick_cache::sync::Cache;
use tandem_actors::{
    domain::{ids::UserId, private_text::PrivateText, time::Timestamp},
    journal::{CommitError, Journal},
    keys,
    ports::{Change, Clock, Store, StoreError},
    records,
};
use tokio::sync::{Mutex, MutexGuard};

use self::profile::ProfileRow;
pub use self::profile::{Names, NamesRequest, PrivacyPatch, PrivacyPreferences, User};

use crate::auth::Identity;

const REMEMBERED: usize = 50_000;
const LANES: usize = 64;

#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    #[error("the user cannot be written: {0}")]
    Commit(#[from] CommitError),
    #[error("the user cannot be read: {0}")]
    Store(#[from] StoreError),
}

pub struct Users {
    store: Arc<dyn Store>,
    journal: Journal,
    clock: Arc<dyn Clock>,
    /// Users that were seen recently.
    known: Cache<UserId, Arc<User>>,
    /// Only one request at a time writes a user. The first requests of a new user often arrive together.
    lanes: [Mutex<()>; LANES],
    hasher: std::hash::RandomState,
}

impl Users {
    pub fn new(store: Arc<dyn Store>, journal: Journal, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            journal,
            clock,
            known: Cache::new(REMEMBERED),
            lanes: std::array::from_fn(|_| Mutex::new(())),
            hasher: std::hash::RandomState::new(),
        }
    }

    /// The user, if they are in memory and the token adds nothing.
    pub fn remembered(&self, identity: &Identity) -> Option<Arc<User>> {
        self.known.get(&identity.user).filter(|user| !adds_to(identity, user))
    }

    /// The user that a verified token names. A new user is created. A missing name or address is taken from the token.
    pub async fn find_or_create(&self, identity: &Identity) -> Result<Arc<User>, UsersError> {
        if let Some(user) = self.remembered(identity) {
            return Ok(user);
        }
        let _lane = self.lane(&identity.user).await;
        let stored = self.find(&identity.user)?;
        if let Some(user) = stored.as_ref().filter(|user| !adds_to(identity, user)) {
            return Ok(user.clone());
        }
        let claimed = |claim: &Option<String>| claim.as_deref().map(PrivateText::new);
        let user = match stored {
            Some(user) => User {
                email: user.email.clone().or_else(|| claimed(&identity.email)),
                name: user.name.clone().or_else(|| claimed(&identity.name)),
                ..(*user).clone()
            },
            None => User {
                id: identity.user.clone(),
                email: claimed(&identity.email),
                name: claimed(&identity.name),
                first_name: None,
                last_name: None,
                biometric_enrolled_at: None,
                privacy: PrivacyPreferences::default(),
                app: false,
                created_at: self.clock.now(),
                signed_out_at: self.signed_out_before(&identity.user)?,
            },
        };
        self.save(user).await
    }

    /// The user, if there is an account.
    pub async fn look_up(&self, id: &UserId) -> Result<Option<Arc<User>>, UsersError> {
        let _lane = self.lane(id).await;
        self.find(id)
    }

    /// Changes the user, and returns the user afterwards. `None` if the account was erased meanwhile.
    pub async fn change(&self, id: &UserId, edit: impl FnOnce(&mut User)) -> Result<Option<Arc<User>>, UsersError> {
        let _lane = self.lane(id).await;
        let Some(before) = self.find(id)? else { return Ok(None) };
        let mut user = (*before).clone();
        edit(&mut user);
        if user == *before {
            return Ok(Some(before));
        }
        self.save(user).await.map(Some)
    }

    /// Records that the user's client is the product's own app, because it called a route that only the app calls.
    /// Writes the row only the first time.
    pub async fn mark_app(&self, user: &User) -> Result<(), UsersError> {
        if user.app {
            return Ok(());
        }
        self.change(&user.id, |user| user.app = true).await.map(drop)
    }

    /// From now on, tokens of the user that were issued before are not accepted, also if there is no account yet.
    pub async fn sign_out(&self, id: &UserId) -> Result<(), UsersError> {
        let now = self.clock.now();
        let _lane = self.lane(id).await;
        match self.find(id)? {
            Some(user) => self.save(User { signed_out_at: Some(now), ..(*user).clone() }).await.map(drop),
            None => Ok(self.journal.write(vec![signed_out(id, now)]).await?),
        }
    }

    /// Deletes the user. A valid token creates a new one at its next use. A token that was signed out stays so.
    pub async fn erase(&self, id: &UserId) -> Result<(), UsersError> {
        let _lane = self.lane(id).await;
        let signed_out_at = self.find(id)?.and_then(|user| user.signed_out_at);
        let kept = signed_out_at.map(|at| signed_out(id, at));
        let at = self.clock.settled();
        let gone = [Change::Delete(keys::profile(id)), keys::note_erasure(at, id), keys::erased(id, at)];
        self.journal.write(kept.into_iter().chain(gone).collect()).await?;
        self.known.remove(id);
        Ok(())
    }

    /// When the user was signed out everywhere, with or without an account.
    pub async fn signed_out_at(&self, id: &UserId) -> Result<Option<Timestamp>, UsersError> {
        match self.look_up(id).await? {
            Some(user) => Ok(user.signed_out_at),
            None => self.signed_out_before(id),
        }
    }

    /// When the user was signed out while there was no account, or before it was erased.
    fn signed_out_before(&self, id: &UserId) -> Result<Option<Timestamp>, UsersError> {
        let row = self.store.get(&keys::signed_out(id))?;
        Ok(row.map(|bytes| records::decode(&bytes)).transpose()?)
    }

    /// Reads the user from memory or from the store. Called in the user's lane, so that an erased user does not return
    /// to memory.
    fn find(&self, id: &UserId) -> Result<Option<Arc<User>>, UsersError> {
        if let Some(user) = self.known.get(id) {
            return Ok(Some(user));
        }
        let Some(bytes) = self.store.get(&keys::profile(id))? else { return Ok(None) };
        let user = Arc::new(records::decode::<ProfileRow>(&bytes)?.into_user(id));
        self.known.insert(id.clone(), user.clone());
        Ok(Some(user))
    }

    async fn save(&self, user: User) -> Result<Arc<User>, UsersError> {
        self.journal
            .write(vec![Change::Put(keys::profile(&user.id), records::encode(&ProfileRow::from(&user)))])
            .await?;
        let user = Arc::new(user);
        self.known.insert(user.id.clone(), user.clone());
        Ok(user)
    }

    async fn lane(&self, id: &UserId) -> MutexGuard<'_, ()> {
        self.lanes[self.hasher.hash_one(id) as usize % LANES].lock().await
    }
}

/// Stores the time of the sign-out in a row of its own, which outlives the profile.
fn signed_out(id: &UserId, at: Timestamp) -> Change {
    Change::Put(keys::signed_out(id), records::encode(&at))
}

fn adds_to(identity: &Identity, user: &User) -> bool {
    (user.name.is_none() && identity.name.is_some()) || (user.email.is_none() && identity.email.is_some())
}
