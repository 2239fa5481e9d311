//! One partner's part of the session.

use serde::{Deserialize, Serialize};

use super::{
    app::Client,
    consents::Consents,
    empathy::{Attempt, Draft, Empathy},
    event::{CapturedNeed, ConsentKind, Event, EventBody},
    ids::{Seq, UserId},
    needs::Needs,
    private_text::PrivateText,
    stage::{Stage, StageRecord},
    stage4::Stage4,
    strategy::Round,
    time::Timestamp,
};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Creator,
    Invitee,
}

impl Side {
    pub const BOTH: [Side; 2] = [Side::Creator, Side::Invitee];

    pub const fn other(self) -> Side {
        match self {
            Side::Creator => Side::Invitee,
            Side::Invitee => Side::Creator,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub id: UserId,
    pub name: Option<PrivateText>,
    pub joined_at: Timestamp,
    /// Has withdrawn: no longer sees the session.
    pub left_at: Option<Timestamp>,
    /// The stages opened so far, in order; never empty.
    pub stages: Vec<StageRecord>,
    pub compact_signed_at: Option<Timestamp>,
    pub feel_heard_at: Option<Timestamp>,
    pub feel_heard_feedback: Option<PrivateText>,
    pub empathy: Empathy,
    pub needs: Needs,
    pub consents: Consents,
    pub round: Round,
    #[serde(default)]
    pub stage4: Stage4,
    /// The `seq` of the last event that this partner was told of.
    pub news: Seq,
    pub last_seen: Seq,
    /// When something changed that this partner sees.
    #[serde(default)]
    pub changed_at: Timestamp,
    pub viewed_at: Option<Timestamp>,
    pub nudged_at: Option<Timestamp>,
    /// The partner is not shown when this one was last there.
    #[serde(default)]
    pub hides_activity: bool,
    /// Known if the member is in app mode.
    #[serde(default)]
    pub client: Option<Client>,
    #[serde(default)]
    pub feel_heard_offered_at: Option<Timestamp>,
    /// The chat item that the member's client saw last.
    #[serde(default)]
    pub chat_item: Option<PrivateText>,
    #[serde(default)]
    pub share_tab_seen_at: Option<Timestamp>,
    /// The coordinator has taken this member on, and the member has done nothing since.
    #[serde(default)]
    pub was_taken_on: bool,
}

impl Member {
    pub(super) fn new(id: UserId, name: Option<PrivateText>, at: Timestamp) -> Self {
        Self {
            id,
            name,
            joined_at: at,
            left_at: None,
            stages: vec![StageRecord::open(Stage::Onboarding, at)],
            compact_signed_at: None,
            feel_heard_at: None,
            feel_heard_feedback: None,
            empathy: Empathy::default(),
            needs: Needs::default(),
            consents: Consents::default(),
            round: Round::default(),
            stage4: Stage4::default(),
            news: 0,
            last_seen: 0,
            changed_at: at,
            viewed_at: None,
            nudged_at: None,
            hides_activity: false,
            client: None,
            feel_heard_offered_at: None,
            chat_item: None,
            share_tab_seen_at: None,
            was_taken_on: false,
        }
    }

    /// Whether the coordinator takes this member on to the next stage by itself.
    pub fn in_app_mode(&self) -> bool {
        self.client.is_some()
    }

    /// Whether the member's client is known to be the app from June on.
    pub fn is_june(&self) -> bool {
        self.client.is_some_and(|client| client.june)
    }

    /// The highest stage opened.
    pub fn stage(&self) -> Stage {
        self.stages.last().map_or(Stage::Onboarding, |record| record.stage)
    }

    pub fn record(&self, stage: Stage) -> Option<&StageRecord> {
        self.stages.iter().find(|record| record.stage == stage)
    }

    pub(super) fn record_mut(&mut self, stage: Stage) -> Option<&mut StageRecord> {
        self.stages.iter_mut().find(|record| record.stage == stage)
    }

    /// The state of the content that a consent given at this moment would be about: it changes with the content.
    pub fn consent_version(&self, kind: ConsentKind) -> u64 {
        match kind {
            ConsentKind::Empathy => self.empathy.draft.as_ref().map_or(0, |draft| draft.version.into()),
            ConsentKind::Needs => self.needs.confirmed_at.map_or(0, |at| at.as_millis().unsigned_abs()),
        }
    }

    /// Whether this partner has gone on from a stage.
    pub fn has_left(&self, stage: Stage) -> bool {
        self.record(stage).is_some_and(|record| record.completed_at.is_some())
    }
}

impl Member {
    /// What this partner itself did.
    pub(super) fn apply(&mut self, event: &Event) {
        self.stage4.apply(&event.body, event.at);
        if !event.is_about_looking() {
            self.was_taken_on = event.is_implicit();
        }
        match &event.body {
            EventBody::AppNoticed { june } => {
                let since = self.client.map_or(event.at, |client| client.since);
                self.client = Some(Client { since, june: *june || self.is_june() });
            }
            EventBody::FeelHeardOffered {} => self.feel_heard_offered_at = Some(event.at),
            EventBody::SawShareTab {} => self.share_tab_seen_at = Some(event.at),
            EventBody::CompactSigned {} => self.compact_signed_at = Some(event.at),
            EventBody::FeelHeardConfirmed { feedback } => {
                self.feel_heard_at = Some(event.at);
                self.feel_heard_feedback = feedback.clone();
            }
            EventBody::StageCompleted { stage, .. } => {
                if let Some(record) = self.record_mut(*stage) {
                    record.satisfied_at = Some(event.at);
                }
            }
            EventBody::EmpathyDraftSaved { draft, content, ready } => {
                let version = self.empathy.draft.as_ref().map_or(1, |draft| draft.version + 1);
                let (id, content) = (draft.clone(), content.clone());
                self.empathy.draft = Some(Draft { id, content, version, ready: *ready, saved_at: event.at });
            }
            EventBody::EmpathyShared { content, .. } => {
                if let Some(draft) = &mut self.empathy.draft {
                    draft.content = content.clone();
                }
                let revision = self.empathy.attempt.as_ref().map_or(0, |attempt| attempt.revision + 1);
                let (content, shared_at) = (content.clone(), event.at);
                self.empathy.attempt =
                    Some(Attempt { content, shared_at, revealed_at: None, revoked_at: None, revision });
                self.empathy.verdict = None;
                let version = self.consent_version(ConsentKind::Empathy);
                self.consents.grant(ConsentKind::Empathy, version, Vec::new(), event.at);
            }
            EventBody::RefinementSkipped { .. } => {
                if let Some(verdict) = &mut self.empathy.verdict {
                    verdict.validated = true;
                    verdict.skipped = true;
                    verdict.at = event.at;
                }
            }
            EventBody::NeedAdded { id, need, category, description } => {
                let (id, need, description) = (id.clone(), need.clone(), description.clone());
                let captured = CapturedNeed { id, need, category: *category, description, evidence: Vec::new() };
                self.needs.add(captured, event.at);
            }
            EventBody::NeedsCaptured { needs } => {
                self.needs.list.retain(|need| need.confirmed);
                needs.iter().for_each(|need| self.needs.add(need.clone(), event.at));
            }
            EventBody::NeedsEdited { edits } => edits.iter().for_each(|edit| self.needs.edit(edit, event.at)),
            EventBody::NeedsConfirmed { needs, .. } => self.needs.confirm(needs, event.at),
            EventBody::NeedsShared { needs, .. } => {
                self.needs.list.iter_mut().for_each(|need| need.shared = needs.contains(&need.id));
                self.needs.shared_at = Some(event.at);
                self.needs.revoked_at = None;
                let version = self.consent_version(ConsentKind::Needs);
                self.consents.grant(ConsentKind::Needs, version, needs.clone(), event.at);
            }
            EventBody::NeedsValidated { validated } => self.needs.validated_at = validated.then_some(event.at),
            EventBody::CommonGroundConfirmed { categories } => {
                for answer in categories {
                    if answer.confirmed {
                        self.needs.common_ground.entry(answer.category).or_insert(event.at);
                    } else {
                        self.needs.common_ground.remove(&answer.category);
                    }
                }
                self.needs.common_ground_at = Some(event.at);
            }
            EventBody::ConsentRevoked { kind: ConsentKind::Empathy } => {
                if let Some(attempt) = &mut self.empathy.attempt {
                    attempt.revoked_at = Some(event.at);
                }
                self.consents.revoke(ConsentKind::Empathy, event.at);
            }
            EventBody::ConsentRevoked { kind: ConsentKind::Needs } => {
                self.needs.revoked_at = Some(event.at);
                self.consents.revoke(ConsentKind::Needs, event.at);
            }
            EventBody::ConsentDenied { kind, version } => self.consents.deny(*kind, *version, event.at),
            EventBody::ReadyToRank {} => self.round.ready_at = Some(event.at),
            EventBody::RankingSubmitted { ranking, .. } => {
                self.round.ranking = ranking.clone();
                self.round.ranked_at = Some(event.at);
                self.stage4.shared_at = None;
            }
            EventBody::Left {} => self.left_at = Some(event.at),
            EventBody::AccountErased {} => {
                self.left_at = self.left_at.or(Some(event.at));
                self.forget_words();
            }
            EventBody::Renamed { name } => self.name = name.clone(),
            EventBody::ActivityShown { shown } => self.hides_activity = !shown,
            EventBody::Viewed { last_seen, chat_item } => {
                self.last_seen = self.last_seen.max(*last_seen);
                if chat_item.is_some() {
                    self.chat_item = chat_item.clone();
                }
                self.viewed_at = Some(event.at);
            }
            EventBody::Nudged {} => self.nudged_at = Some(event.at),
            EventBody::Created { .. }
            | EventBody::InvitationWritten { .. }
            | EventBody::TopicFrameConfirmed { .. }
            | EventBody::InvitationSent { .. }
            | EventBody::InvitationConfirmed { .. }
            | EventBody::InvitationResent { .. }
            | EventBody::InvitationExpired {}
            | EventBody::InvitationDeclined {}
            | EventBody::Joined { .. }
            | EventBody::Advanced { .. }
            | EventBody::EmpathyJudged { .. }
            | EventBody::StrategyProposed { .. }
            // `Stage4::apply` has seen to these.
            | EventBody::Tending(_)
            | EventBody::PathChosen { .. }
            | EventBody::SelectionsMade { .. }
            | EventBody::SelectionsShared { .. }
            | EventBody::SelectionsUnshared {}
            | EventBody::NeedDeclined { .. }
            | EventBody::NeedWalked { .. }
            | EventBody::StrategyRevised { .. }
            | EventBody::SubChatOpened { .. }
            | EventBody::SubChatSaid { .. }
            | EventBody::SubChatResolved { .. }
            | EventBody::Closed { .. }
            | EventBody::OverlapRevealed { .. }
            | EventBody::AgreementProposed { .. }
            | EventBody::AgreementConfirmed { .. }
            | EventBody::AgreementDeclined { .. }
            | EventBody::FollowUpDue { .. }
            | EventBody::Paused { .. }
            | EventBody::Resumed {}
            | EventBody::Resolved {}
            | EventBody::Abandoned { .. }
            | EventBody::Archived {}
            | EventBody::NudgeRefused {} => {}
        }
    }

    pub(super) fn forget_words(&mut self) {
        self.name = None;
        self.chat_item = None;
        self.feel_heard_feedback = None;
        if let Some(draft) = &mut self.empathy.draft {
            draft.content = PrivateText::default();
        }
        if let Some(attempt) = &mut self.empathy.attempt {
            attempt.content = PrivateText::default();
        }
        self.stage4.forget_words();
        for need in &mut self.needs.list {
            need.need = PrivateText::default();
            need.description = None;
            need.evidence.clear();
        }
    }
}
