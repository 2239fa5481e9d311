//! The people whom a user has sessions with. A person is a user who shares a session that both have joined and neither
//! has left. An invitation alone makes no person known. For all other users the answer is 404.
//!
//! People are read from index rows; only the newest session of each person on the page is woken.

mod summary;
mod views;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use self::views::{
    LastSession, PeoplePage, PersonDetail, PersonEnvelope, PersonInvitation, PersonSession, PersonSessionStatus,
    PersonSessions, PersonView, WhoseTurn,
};

use self::summary::Summary;
use super::{Coordinator, list::Position};
use crate::{
    domain::{
        Query, Rejection,
        ids::{self, InvitationId, SessionId, UserId},
        invitation::InvitationStatus,
        private_text::PrivateText,
        stage::SessionStatus,
        time::Timestamp,
    },
    messages::Refusal,
    ports::StoreError,
    rows::records::Membership,
};

/// Selects a part of the people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeopleFilter {
    /// From the previous page.
    pub cursor: Option<String>,
    /// The most people on the page.
    pub limit: usize,
}

/// Selects sessions with a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithPerson {
    /// All that both have joined.
    All,
    /// Resolved sessions, archived or not.
    Completed,
    /// Active and paused sessions.
    Active,
}

/// The most sessions with one person that are shown.
const SESSIONS_SHOWN: usize = 50;

/// How many sessions are asked for the person's name. If none answers, the nickname is shown.
const ASKED_FOR_NAME: usize = 3;

/// A person, and the sessions that the person and the user share, the newest change first.
struct KnownPerson {
    id: UserId,
    since: Timestamp,
    sessions: Vec<(Position, Membership)>,
}

impl KnownPerson {
    /// The place among all people, given by the newest session.
    fn position(&self) -> &Position {
        &self.sessions[0].0
    }

    fn ongoing(&self) -> impl Iterator<Item = &(Position, Membership)> {
        self.sessions.iter().filter(|(_, session)| is_ongoing(session.status))
    }
}

fn is_ongoing(status: SessionStatus) -> bool {
    matches!(status, SessionStatus::Active | SessionStatus::Paused)
}

impl Coordinator {
    /// `{people, cursor, hasMore}`, ordered by the newest change.
    pub async fn people(&self, user: &UserId, filter: PeopleFilter) -> Result<Bytes, Refusal> {
        let after = filter.cursor.as_deref().map(crate::coordinator::list::parse_cursor).transpose()?;
        let known = self.known_people(user).await?;
        let behind = |known: &KnownPerson| after.as_ref().is_none_or(|after| known.position() > after);
        let mut rest = known.into_iter().filter(behind);
        let mut page = PeoplePage { people: Vec::new(), cursor: None, has_more: false };
        let mut last = None;
        for person in rest.by_ref().take(filter.limit) {
            page.people.push(self.person_view(user, &person).await?);
            last = Some(person.position().clone());
        }
        page.has_more = rest.next().is_some();
        page.cursor = last.filter(|_| page.has_more).as_ref().map(crate::coordinator::list::cursor);
        to_json(&page)
    }

    async fn person_view(&self, user: &UserId, person: &KnownPerson) -> Result<PersonView, Refusal> {
        let (newest, summary) = self.newest_that_answers(user, person).await?;
        let (name, nickname) = self.names(user, &person.id, summary.as_ref())?;
        let updated_at = summary.as_ref().map(|summary| (summary.status, summary.updated_at));
        let last_session = updated_at.map(|(status, updated_at)| LastSession { id: newest, status, updated_at });
        Ok(PersonView {
            relationship_id: ids::relationship(user, &person.id),
            initials: initials(name.reveal()),
            name,
            nickname,
            connected_since: person.since,
            last_session,
            active_session_count: person.ongoing().count(),
            id: person.id.clone(),
        })
    }

    /// `{person}`
    pub async fn person(&self, user: &UserId, person: &UserId) -> Result<Bytes, Refusal> {
        let known = self.known_person(user, person).await?;
        let (_, summary) = self.newest_that_answers(user, &known).await?;
        let (name, nickname) = self.names(user, person, summary.as_ref())?;
        let mut active_session = None;
        if let Some(((_, session), _)) = known.ongoing().next()
            && let Some(summary) = self.person_summary(user, session).await?
        {
            let (stage, status) = (summary.current_stage, summary.turn());
            let last_update = summary.updated_at;
            active_session = Some(PersonSessionStatus { id: session.clone(), stage, status, last_update });
        }
        let detail = PersonDetail {
            id: person.clone(),
            relationship_id: ids::relationship(user, person),
            initials: initials(name.reveal()),
            name,
            nickname,
            connected_since: known.since,
            active_session,
            pending_invitation: self.invitation_to(user, person).await?,
        };
        to_json(&PersonEnvelope { person: detail })
    }

    /// `{sessions}`: those with one person, at most fifty.
    pub async fn sessions_with(&self, user: &UserId, person: &UserId, which: WithPerson) -> Result<Bytes, Refusal> {
        let known = self.known_person(user, person).await?;
        let wanted = |membership: &Membership| match which {
            WithPerson::All => true,
            WithPerson::Completed => membership.resolved_at.is_some(),
            WithPerson::Active => is_ongoing(membership.status),
        };
        let mut sessions = Vec::new();
        for ((_, id), _) in known.sessions.iter().filter(|(_, session)| wanted(session)).take(SESSIONS_SHOWN) {
            let Some(summary) = self.person_summary(user, id).await? else { continue };
            sessions.push(PersonSession {
                id: id.clone(),
                date: summary.resolved_at.unwrap_or(summary.updated_at),
                topic: summary.topic_frame.or(summary.context).unwrap_or_default(),
                status: summary.status,
            });
        }
        to_json(&PersonSessions { sessions })
    }

    async fn known_people(&self, user: &UserId) -> Result<Vec<KnownPerson>, StoreError> {
        let user = user.clone();
        self.read(move |node| node.stored_people(&user)).await
    }

    fn stored_people(&self, user: &UserId) -> Result<Vec<KnownPerson>, StoreError> {
        let mut people: Vec<KnownPerson> = Vec::new();
        let mut places = std::collections::HashMap::new();
        for (position, membership) in self.in_order(user)? {
            let (Some(person), Some(since)) = (membership.connected_person(), membership.connected_at) else {
                continue;
            };
            let place = *places.entry(person.clone()).or_insert_with(|| {
                people.push(KnownPerson { id: person, since, sessions: Vec::new() });
                people.len() - 1
            });
            people[place].since = people[place].since.min(since);
            people[place].sessions.push((position, membership));
        }
        Ok(people)
    }

    async fn known_person(&self, user: &UserId, person: &UserId) -> Result<KnownPerson, Refusal> {
        let known = self.known_people(user).await?.into_iter().find(|known| known.id == *person);
        known.ok_or_else(|| Rejection::no_such_person().into())
    }

    /// The newest session, and the summary of the newest session that answers.
    async fn newest_that_answers(
        &self,
        user: &UserId,
        person: &KnownPerson,
    ) -> Result<(SessionId, Option<Summary>), Refusal> {
        for ((_, session), _) in person.sessions.iter().take(ASKED_FOR_NAME) {
            if let Some(summary) = self.person_summary(user, session).await? {
                return Ok((session.clone(), Some(summary)));
            }
        }
        Ok((person.position().1.clone(), None))
    }

    /// `None` if the session cannot be asked: one faulty session does not fail the list.
    async fn person_summary(&self, user: &UserId, session: &SessionId) -> Result<Option<Summary>, Refusal> {
        match self.query(session, user, Query::Summary).await {
            Ok(summary) => Ok(Some(serde_json::from_slice(&summary).map_err(crate::coordinator::list::internal)?)),
            Err(Refusal::Rejected(_) | Refusal::Unavailable { .. }) => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    fn names(
        &self,
        user: &UserId,
        person: &UserId,
        summary: Option<&Summary>,
    ) -> Result<(PrivateText, Option<PrivateText>), StoreError> {
        let partner = summary.map(|summary| &summary.partner);
        let nickname = match partner.and_then(|partner| partner.nickname.clone()) {
            Some(nickname) => Some(nickname),
            None => crate::stored::nicknames::find(self.store(), user, person)?,
        };
        let name = partner.and_then(|partner| partner.name.clone()).or_else(|| nickname.clone());
        Ok((name.unwrap_or_default(), nickname))
    }

    async fn invitation_to(&self, user: &UserId, person: &UserId) -> Result<Option<PersonInvitation>, Refusal> {
        #[derive(Deserialize)]
        struct Envelope {
            invitation: Invitation,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Invitation {
            id: InvitationId,
            status: InvitationStatus,
            created_at: Timestamp,
            message_confirmed_at: Option<Timestamp>,
            resent_at: Option<Timestamp>,
            expires_at: Timestamp,
        }
        let open = self.live_in_order(user)?.into_iter().find(|(_, membership)| {
            membership.status == SessionStatus::Invited && membership.partner.as_ref() == Some(person)
        });
        let Some(((_, session_id), _)) = open else { return Ok(None) };
        let Ok(answer) = self.query(&session_id, user, Query::Invitation).await else { return Ok(None) };
        let invitation =
            serde_json::from_slice::<Envelope>(&answer).map_err(crate::coordinator::list::internal)?.invitation;
        let Invitation { id, status, created_at, message_confirmed_at, resent_at, expires_at } = invitation;
        let sent_at = resent_at.or(message_confirmed_at).unwrap_or(created_at);
        let pending = PersonInvitation { id, session_id, sent_at, expires_at };
        Ok(Some(pending).filter(|_| status == InvitationStatus::Pending))
    }
}

/// The first letters of the first and the last word.
fn initials(name: &str) -> PrivateText {
    let mut words = name.split_whitespace().filter_map(|word| word.chars().find(|c| c.is_alphanumeric()));
    let letters: String = words.next().into_iter().chain(words.next_back()).flat_map(char::to_uppercase).collect();
    PrivateText::new(letters)
}

fn to_json(answer: &impl Serialize) -> Result<Bytes, Refusal> {
    serde_json::to_vec(answer).map(Bytes::from).map_err(crate::coordinator::list::internal)
}

#[cfg(test)]
mod tests {
    use super::initials;

    #[test]
    fn initials_are_the_first_letters_of_the_first_and_the_last_word() {
        for (name, expected) in
            [("Ben", "B"), ("anna maria berg", "AB"), ("", ""), ("  'Ötzi  (\u{df}) ", "ÖSS"), ("李 小龙", "李小")]
        {
            assert_eq!(initials(name).reveal(), expected, "{name}");
        }
    }
}
