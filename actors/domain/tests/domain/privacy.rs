//! Whose words may be seen by whom: a second, simple account of the privacy rules, kept from the events alone, against
//! which everything that leaves the domain is held.

use std::collections::{BTreeMap, BTreeSet};

use tandem_domain::{
    Event, EventBody, Query, Rejection,
    consents::ConsentKind,
    ids::{NeedId, UserId},
    needs::NeedEdit,
    tending::TendingEvent,
};

use crate::world::*;

/// The fields that an announcement may have.
const PUBLIC_FIELDS: [&str; 23] = [
    "actionType",
    "change",
    "submittedBy",
    "closedBy",
    "sessionId",
    "seq",
    "timestamp",
    "excludeUserId",
    "triggeredByUserId",
    "signedAt",
    "stage",
    "completedAt",
    "toStage",
    "agreementId",
    "agreementIds",
    "kind",
    "willingToAccept",
    "by",
    "reason",
    "name",
    "forUserId",
    "previousStage",
    "currentStage",
];

#[derive(Default)]
struct Person {
    /// Never for the partner.
    private: BTreeSet<String>,
    /// All that was ever drafted or shared as an attempt.
    attempts: BTreeSet<String>,
    /// The attempt that is shared now.
    shared_attempt: Option<String>,
    /// All texts of each need.
    needs: BTreeMap<NeedId, BTreeSet<String>>,
    confirmed: BTreeSet<NeedId>,
    /// The needs that are shared now.
    shared_needs: Option<BTreeSet<NeedId>>,
    draft: String,
    /// Written for the invitation, and not sent.
    message: Option<String>,
}

#[derive(Default)]
pub struct Secrets {
    people: BTreeMap<UserId, Person>,
}

impl Secrets {
    pub fn learn(&mut self, events: &[Event]) {
        for event in events {
            if let Some(by) = &event.by {
                self.people.entry(by.clone()).or_default().learn(&event.body);
            }
        }
    }

    /// What `viewer` must not see at this moment.
    fn hidden_from(&self, viewer: &UserId) -> Vec<&str> {
        let mine = self.people.get(viewer);
        let mut hidden = Vec::new();
        for (_, other) in self.people.iter().filter(|(id, _)| *id != viewer) {
            hidden.extend(other.private.iter());
            let sees_attempt = mine.is_some_and(|mine| mine.shared_attempt.is_some());
            hidden.extend(
                other.attempts.iter().filter(|text| !(sees_attempt && other.shared_attempt.as_ref() == Some(*text))),
            );
            let sees_needs = mine.is_some_and(|mine| mine.shared_needs.is_some());
            for (id, texts) in &other.needs {
                let is_shared = other.shared_needs.as_ref().is_some_and(|shared| shared.contains(id));
                if !(sees_needs && is_shared && other.confirmed.contains(id)) {
                    hidden.extend(texts.iter());
                }
            }
        }
        hidden.into_iter().map(String::as_str).filter(|text| !text.is_empty()).collect()
    }

    pub fn check_text(&self, viewer: &str, world: &World, seen: &str) {
        for hidden in self.hidden_from(&user(viewer)) {
            assert!(!seen.contains(hidden), "{viewer} sees {hidden} in {seen} ({})", world.session.status());
        }
    }

    /// No refusal repeats what anybody wrote, not even to its author.
    pub fn check_refusal(&self, rejection: &Rejection) {
        let text = format!("{rejection} {:?} {rejection:?}", rejection.details);
        for sign in
            [" of ann", " of ben", " of eve", "<category>", "<strategy", "<agreement", "<reason", "<modification"]
        {
            assert!(!text.contains(sign), "{text}");
        }
    }

    /// Nothing in the shared lists of stage 4 says whose idea it was, or when it came.
    pub fn check_attribution(&self, query: Query, seen: &str) {
        if matches!(query, Query::Strategies | Query::Overlap) {
            for sign in [ANN, BEN, "author", "At\"", "timestamp"] {
                assert!(!seen.contains(sign) || seen.starts_with("NOT_FOUND"), "{query:?} shows {sign}: {seen}");
            }
        }
    }

    pub fn check_announcement(&self, event: &Event, world: &World) {
        let Some(announcement) = event.announcement(world.session.id()) else { return };
        for (field, value) in &announcement.payload {
            assert!(PUBLIC_FIELDS.contains(&field.as_str()), "{} tells {field}", announcement.name);
            assert!(field == "reason" || !value.to_string().contains('<'), "{} tells words", announcement.name);
        }
        for field in ["sessionId", "seq", "timestamp"] {
            assert!(announcement.payload.contains_key(field), "{} lacks {field}", announcement.name);
        }
    }

    pub fn check_erased(&self, who: &str, world: &World) {
        let all = serde_json::to_string(&(&world.session, &world.log)).unwrap();
        for sign in [format!("of {who}"), format!("{who}'s name"), format!("{who} renamed"), format!("{who} imagines")]
        {
            assert!(!all.contains(&sign), "{sign} is still there");
        }
    }
}

impl Person {
    fn learn(&mut self, body: &EventBody) {
        let text = |words: &tandem_domain::private_text::PrivateText| words.reveal().to_owned();
        match body {
            EventBody::Created { context, invite_name, .. } => {
                self.private.extend([context, invite_name].into_iter().flatten().map(text));
            }
            EventBody::Tending(TendingEvent::NoteWritten { content, .. }) => drop(self.private.insert(text(content))),
            EventBody::Tending(TendingEvent::Responded { reflection, .. }) => {
                self.private.extend(reflection.iter().map(text));
            }
            EventBody::Tending(TendingEvent::CheckedIn { check_in, .. }) => {
                self.private.extend([&check_in.worked, &check_in.support].into_iter().flatten().map(text));
            }
            EventBody::SubChatSaid { content, .. } => drop(self.private.insert(text(content))),
            EventBody::InvitationWritten { topic, message } => {
                self.private.extend([topic, message].into_iter().flatten().map(text));
                self.message = message.as_ref().map(text).or(self.message.take());
            }
            EventBody::TopicFrameConfirmed { topic } => drop(self.private.remove(&text(topic))),
            EventBody::InvitationSent { message } => {
                for sent in [message.as_ref().map(text), self.message.take()].into_iter().flatten() {
                    self.private.remove(&sent);
                }
            }
            EventBody::Viewed { chat_item, .. } => self.private.extend(chat_item.iter().map(text)),
            EventBody::FeelHeardConfirmed { feedback } => self.private.extend(feedback.iter().map(text)),
            EventBody::EmpathyDraftSaved { content, .. } => {
                self.draft = text(content);
                self.attempts.insert(text(content));
            }
            EventBody::EmpathyShared { content, .. } => {
                self.attempts.insert(text(content));
                self.shared_attempt = Some(text(content));
            }
            EventBody::EmpathyJudged { feedback, feedback_shared: false, .. } => {
                self.private.extend(feedback.iter().map(text));
            }
            EventBody::NeedAdded { id, need, description, .. } => {
                let texts = self.needs.entry(id.clone()).or_default();
                texts.insert(text(need));
                texts.extend(description.iter().map(text));
            }
            EventBody::NeedsConfirmed { needs, .. } => {
                for change in needs {
                    let texts = self.needs.entry(change.need.clone()).or_default();
                    texts.extend(change.adjustment.iter().map(text));
                    if change.confirmed {
                        self.confirmed.insert(change.need.clone());
                    } else {
                        self.confirmed.remove(&change.need);
                    }
                }
            }
            EventBody::RefinementSkipped { reason, .. } => self.private.extend(reason.iter().map(text)),
            EventBody::NeedsCaptured { needs } => {
                for need in needs {
                    let texts = self.needs.entry(need.id.clone()).or_default();
                    texts.insert(text(&need.need));
                    texts.extend(need.description.iter().map(text));
                    self.private.extend(need.evidence.iter().map(text));
                }
            }
            EventBody::NeedsEdited { edits } => edits.iter().for_each(|edit| self.learn_edit(edit)),
            EventBody::NeedsShared { needs, .. } => self.shared_needs = Some(needs.iter().cloned().collect()),
            EventBody::ConsentRevoked { kind: ConsentKind::Empathy } => self.shared_attempt = None,
            EventBody::ConsentRevoked { kind: ConsentKind::Needs } => self.shared_needs = None,
            _ => {}
        }
    }

    /// What a need said before stays private, and a changed need is no longer confirmed.
    fn learn_edit(&mut self, edit: &NeedEdit) {
        let text = |words: &tandem_domain::private_text::PrivateText| words.reveal().to_owned();
        match edit {
            NeedEdit::Added { id, need, .. } => {
                self.needs.entry(id.clone()).or_default().insert(text(need));
            }
            NeedEdit::Reworded { need, before, after } => {
                self.private.insert(text(before));
                let texts = self.needs.entry(need.clone()).or_default();
                texts.remove(before.reveal());
                texts.insert(text(after));
                self.confirmed.remove(need);
            }
            NeedEdit::Recategorized { need, .. } => {
                self.confirmed.remove(need);
            }
            NeedEdit::Removed { need, .. } => {
                let texts = self.needs.remove(need).unwrap_or_default();
                self.private.extend(texts);
                self.confirmed.remove(need);
            }
        }
    }
}
