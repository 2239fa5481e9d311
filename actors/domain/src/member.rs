//! One partner's part of the session.

use serde::{Deserialize, Serialize};

use crate::{
    app::AppClient,
    consents::{ConsentKind, Consents},
    empathy::Empathy,
    ids::{Seq, UserId},
    needs::Needs,
    private_text::PrivateText,
    stage::{Stage, StageRecord},
    stage4::Stage4,
    strategy::Round,
    time::Timestamp,
};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) id: UserId,
    pub(crate) name: Option<PrivateText>,
    pub(crate) joined_at: Timestamp,
    /// When the member withdrew. The member no longer sees the session.
    pub(crate) left_at: Option<Timestamp>,
    /// The stages opened so far, in order; never empty.
    pub(crate) stages: Vec<StageRecord>,
    pub(crate) compact_signed_at: Option<Timestamp>,
    pub(crate) feel_heard_at: Option<Timestamp>,
    pub(crate) feel_heard_feedback: Option<PrivateText>,
    pub(crate) empathy: Empathy,
    pub(crate) needs: Needs,
    pub(crate) consents: Consents,
    pub(crate) round: Round,
    #[serde(default)]
    pub(crate) stage4: Stage4,
    /// The `seq` of the last event that was news for this partner.
    pub(crate) news: Seq,
    pub(crate) last_seen: Seq,
    /// When this partner's view of the session last changed.
    #[serde(default)]
    pub(crate) changed_at: Timestamp,
    pub(crate) viewed_at: Option<Timestamp>,
    pub(crate) nudged_at: Option<Timestamp>,
    /// The other partner does not see when this one was last active.
    #[serde(default)]
    pub(crate) hides_activity: bool,
    /// Some if the member is in app mode.
    #[serde(default)]
    pub(crate) client: Option<AppClient>,
    #[serde(default)]
    pub(crate) feel_heard_offered_at: Option<Timestamp>,
    /// The chat item that the member's client saw last.
    #[serde(default)]
    pub(crate) chat_item: Option<PrivateText>,
    #[serde(default)]
    pub(crate) share_tab_seen_at: Option<Timestamp>,
    /// This member's latest event is an advance that the coordinator made by itself.
    #[serde(default, rename = "was_taken_on")]
    pub(crate) was_just_advanced: bool,
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
            was_just_advanced: false,
        }
    }

    /// Whether the coordinator advances this member to the next stage by itself.
    pub(crate) fn in_app_mode(&self) -> bool {
        self.client.is_some()
    }

    /// Whether the member's client is known to be the June generation of the app.
    pub(crate) fn is_june(&self) -> bool {
        self.client.is_some_and(|client| client.june)
    }

    /// The highest stage opened.
    pub(crate) fn stage(&self) -> Stage {
        debug_assert!(!self.stages.is_empty(), "a member begins in stage 0");
        self.stages.last().map_or(Stage::Onboarding, |record| record.stage)
    }

    pub(crate) fn record(&self, stage: Stage) -> Option<&StageRecord> {
        self.stages.iter().find(|record| record.stage == stage)
    }

    pub(super) fn record_mut(&mut self, stage: Stage) -> Option<&mut StageRecord> {
        self.stages.iter_mut().find(|record| record.stage == stage)
    }

    /// The version of the content that a consent given now would be about. It changes with the content.
    pub(crate) fn consent_version(&self, kind: ConsentKind) -> u64 {
        match kind {
            ConsentKind::Empathy => self.empathy.draft.as_ref().map_or(0, |draft| draft.version.into()),
            ConsentKind::Needs => self.needs.confirmed_at.map_or(0, |at| at.as_millis().unsigned_abs()),
        }
    }

    /// Whether this partner has completed a stage.
    pub(crate) fn has_left(&self, stage: Stage) -> bool {
        self.record(stage).is_some_and(|record| record.completed_at.is_some())
    }
}

impl Member {
    pub(super) fn forget_texts(&mut self) {
        self.name = None;
        self.chat_item = None;
        self.feel_heard_feedback = None;
        if let Some(draft) = &mut self.empathy.draft {
            draft.content = PrivateText::default();
        }
        if let Some(attempt) = &mut self.empathy.attempt {
            attempt.content = PrivateText::default();
        }
        self.stage4.forget_texts();
        for need in &mut self.needs.list {
            need.need = PrivateText::default();
            need.description = None;
            need.evidence.clear();
        }
    }
}
