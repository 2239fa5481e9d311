//! Account operations (a new name, a preference, an erasure), executed in every session of the user. A session that
//! cannot do its part now does it when it works again. A row keeps the waiting operation.

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::try_join_all;

use super::Coordinator;
use crate::{
    domain::{
        Caller, Code, Command,
        command::Rename,
        ids::{SessionId, UserId},
    },
    messages::{Refusal, SessionMessage},
    ports::{Change, Direction, StoreError},
    rows::{
        keys::{self, Key},
        pages::{PAGE, pages},
        records::{self, AccountWork, Membership},
    },
    stored::idempotency,
};

/// How many sessions carry out an account operation at the same time: they share flushes.
const AT_ONCE: usize = 32;
/// How long an account operation waits for one session. After that the session does its part later.
const ACCOUNT_WORK_WITHIN: Duration = Duration::from_secs(3);

impl Coordinator {
    /// Tells every session of the user the user's new name.
    pub async fn rename(&self, caller: Caller, rename: Rename) -> Result<(), Refusal> {
        let work = AccountWork { rename: rename.name.clone(), ..AccountWork::default() };
        self.in_every_session(caller, &Command::Rename(rename), &work).await
    }

    /// Tells every session of the user whether partners may see when the user was active.
    pub async fn show_activity(&self, caller: Caller, shown: bool) -> Result<(), Refusal> {
        let work = AccountWork { show_activity: Some(shown), ..AccountWork::default() };
        self.in_every_session(caller, &Command::ShowActivity { shown }, &work).await
    }

    /// Removes the user and the user's private text from every session. A session that cannot do it now does it when
    /// it works again. Until then the user does not see the session, and nobody sees the user's private text in it.
    pub async fn erase(&self, caller: Caller) -> Result<(), Refusal> {
        let user = caller.id.clone();
        self.in_every_session(caller, &Command::EraseAccount, &AccountWork { erase: true, ..AccountWork::default() })
            .await?;
        // Each page is read from the beginning, so that newly stored answers are found, too.
        while let Some(page) = pages(self.store(), keys::idempotent_answers_of(&user)).next() {
            self.write(page?.into_iter().flat_map(|(key, row)| idempotency::deletion(key, &row)).collect()).await?;
        }
        Ok(())
    }

    async fn write(&self, changes: Vec<Change>) -> Result<(), Refusal> {
        let later = |_| Refusal::unavailable("not everything could be written; try again", Duration::from_secs(1));
        self.deps.journal.write(changes).await.map_err(later)
    }

    /// The sessions that the user was ever a member of.
    pub fn sessions_ever(&self, user: &UserId) -> Result<Vec<SessionId>, Refusal> {
        let mut all = Vec::new();
        for page in self.session_pages(user) {
            all.extend(page?);
        }
        Ok(all)
    }

    /// The same, page by page.
    fn session_pages(&self, user: &UserId) -> impl Iterator<Item = Result<Vec<SessionId>, StoreError>> {
        let prefix = keys::memberships(user);
        pages(self.store(), prefix.clone()).map(move |page| {
            let session = |key: &Key| {
                let session = keys::session_of_membership(key, &prefix);
                session.ok_or_else(|| StoreError::new("a membership row names no session"))
            };
            page?.iter().map(|(key, _)| session(key)).collect()
        })
    }

    async fn in_every_session(&self, caller: Caller, command: &Command, work: &AccountWork) -> Result<(), Refusal> {
        for page in self.session_pages(&caller.id) {
            for turn in page?.chunks(AT_ONCE) {
                try_join_all(turn.iter().map(|session| self.in_session(session, &caller, command, work))).await?;
            }
        }
        Ok(())
    }

    async fn in_session(
        &self,
        session: &SessionId,
        caller: &Caller,
        command: &Command,
        work: &AccountWork,
    ) -> Result<(), Refusal> {
        let done = self.order(session, caller.clone(), command.clone(), None);
        match tokio::time::timeout(ACCOUNT_WORK_WITHIN, done).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(Refusal::Rejected(rejection))) if rejection.code == Code::NotFound => Ok(()),
            Ok(Err(refusal @ Refusal::Rejected(_))) => Err(refusal),
            Ok(Err(Refusal::Unavailable { .. } | Refusal::Internal(_))) | Err(_) => {
                self.postpone(session, &caller.id, work).await
            }
        }
    }

    /// Stores the account work for the session. An erasure hides the session from the user at once.
    async fn postpone(&self, session: &SessionId, user: &UserId, work: &AccountWork) -> Result<(), Refusal> {
        let key = keys::account_work(session, user);
        let waits: Option<AccountWork> = self.store().get(&key)?.map(|row| records::decode(&row)).transpose()?;
        let work = waits.unwrap_or_default().and_then(work);
        tracing::warn!(%session, "session cannot do its part of an account operation, it is done later");
        let mut changes = vec![Change::Put(key, records::encode(&work))];
        if let (true, Some(membership)) = (work.erase, self.membership(session, user)?) {
            let left = Membership { left: true, ..membership };
            changes.push(Change::Put(keys::membership(user, session), records::encode(&left)));
        }
        let written = self.write(changes).await;
        self.supervisor.forget_members(session);
        written
    }

    /// Reminds a page of sessions of their waiting account work. Returns the start of the next page.
    pub(super) fn remind_of_account_work(&self, after: Option<&Key>) -> Result<Option<Key>, StoreError> {
        let mut rows = self.store().scan(&keys::all_account_work(), after, Direction::Forward, PAGE)?;
        let sessions: BTreeSet<_> = rows.iter().filter_map(|(key, _)| keys::session_of_account_work(key)).collect();
        for session in &sessions {
            // A session that still cannot do it is reminded again.
            let _ = self.supervisor.send(session, SessionMessage::AccountWork);
        }
        Ok(if rows.len() < PAGE { None } else { rows.pop().map(|(key, _)| key) })
    }
}
