//! The session as a whole: one form for lists, for the session screen and for the resync call.

use serde::{Serialize, Serializer};

use super::{CompactStatus, GateView, InvitationView, Progress, Viewer};
use crate::{
    ids::{self, InvitationId, Seq, SessionId, UserId},
    member::Member,
    private_text::PrivateText,
    rules::PARTNER_READY,
    side::Side,
    stage::{SessionStatus, Stage, StageStatus},
    time::Timestamp,
};

/// A session, as one partner sees it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SessionView {
    id: SessionId,
    /// The id of the two people's relationship. It is the same in all of their sessions, once both are known.
    relationship_id: String,
    relationship: Relationship,
    /// `WAITING` if the viewer has done everything and the partner has not, else the stored one.
    status: SessionStatus,
    /// The status without `WAITING`, the same for both partners.
    stored_status: SessionStatus,
    /// The same as `status`.
    display_status: SessionStatus,
    /// The viewer has satisfied the gates, and the partner has not.
    is_waiting: bool,
    status_summary: StatusSummary,
    pub(super) condition: Condition,
    created_at: Timestamp,
    /// When the viewer's view of the session last changed.
    updated_at: Timestamp,
    resolved_at: Option<Timestamp>,
    abandoned_at: Option<Timestamp>,
    archived_at: Option<Timestamp>,
    pub(super) partner: PartnerView,
    is_inviter: bool,
    invitation_id: InvitationId,
    /// What the creator wrote about the session, for the creator.
    context: Option<PrivateText>,
    /// The viewer's; the same as `myProgress.stage`.
    current_stage: Stage,
    stage_status: StageStatus,
    my_progress: StageProgress,
    partner_progress: StageProgress,
    current_gates: Vec<GateView>,
    /// The keys of the viewer's missing gates. Empty while the session is paused or over.
    self_action_needed: Vec<&'static str>,
    /// `["partnerReady"]` while the viewer waits for the partner, else empty.
    partner_action_needed: Vec<&'static str>,
    paused_at: Option<Timestamp>,
    /// Who paused; null unless paused.
    paused_by: Option<UserId>,
    /// What the partner who paused wrote; both see it.
    pause_reason: Option<PrivateText>,
    /// There is news that the viewer has not seen.
    unread: bool,
    /// The same as `unread`.
    has_unread: bool,
    /// Up to here the viewer has seen the session.
    last_seen_seq: Seq,
    last_viewed_at: Option<Timestamp>,
    /// When the partner last looked at the session; null if the partner does not show it.
    partner_last_viewed_at: Option<Timestamp>,
    /// When the partner was last there; null if the partner does not show it.
    partner_last_active_at: Option<Timestamp>,
    /// Always null: inner thoughts are another service's.
    source_inner_thoughts: Option<PrivateText>,
    /// As the viewer's client has named it.
    last_seen_chat_item_id: Option<PrivateText>,
    seq: Seq,
}

fn empty_if_none<S: Serializer>(id: &Option<UserId>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(id.as_ref().map_or("", UserId::as_str))
}

/// One page of the chat. The chat is another service's; the app has to find an empty page here.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct MessagesPage {
    #[cfg_attr(feature = "schema", schema(value_type = Vec<Object>))]
    messages: [(); 0],
    has_more: bool,
}

/// Whether the session works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// The session works.
    Ok,
    /// It failed too often. This is its last good state; nothing changes it until an operator has looked at it.
    Quarantined,
    /// In quarantine, and only its place in the list can be read.
    Unreadable,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Relationship {
    id: String,
    created_at: Timestamp,
    /// Always 1.
    session_count: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct PartnerView {
    /// Empty until somebody is known.
    #[serde(serialize_with = "empty_if_none")]
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub id: Option<UserId>,
    /// The partner's own name, or what the viewer called the partner when inviting.
    name: Option<PrivateText>,
    /// What the viewer calls the partner, or called the partner when inviting.
    pub nickname: Option<PrivateText>,
    pub joined: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct StageProgress {
    stage: Stage,
    status: StageStatus,
    /// Null for the partner.
    started_at: Option<Timestamp>,
    /// Null for the partner.
    completed_at: Option<Timestamp>,
}

/// Two short lines for a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct StatusSummary {
    user_status: &'static str,
    partner_status: &'static str,
}

/// The answer to `GET /sessions/{id}`, and to a call that shows the whole session.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SessionEnvelope {
    pub(super) session: SessionView,
    seq: Seq,
}

/// The answer to `GET /sessions/{id}/state`: what a client needs after a reconnect.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SessionState {
    pub(super) session: SessionView,
    progress: Progress,
    invitation: InvitationView,
    compact: CompactStatus,
    messages: MessagesPage,
    seq: Seq,
}

impl Viewer<'_> {
    pub(super) fn session(&self) -> SessionView {
        let (session, me) = (self.session, self.me);
        let mine = self.my_stage_progress();
        let theirs = self.partner_progress();
        let is_waiting = session.is_waiting(self.side);
        let relationship_id = self.relationship_id();
        let is_open = matches!(session.status, SessionStatus::Active | SessionStatus::Invited | SessionStatus::Created);
        SessionView {
            id: session.id.clone(),
            relationship_id: relationship_id.clone(),
            relationship: Relationship { id: relationship_id, created_at: session.created_at, session_count: 1 },
            status: self.status(),
            stored_status: session.status,
            display_status: self.status(),
            is_waiting,
            status_summary: self.status_summary(is_waiting),
            condition: Condition::Ok,
            created_at: session.created_at,
            updated_at: me.changed_at,
            resolved_at: session.resolved_at,
            abandoned_at: session.abandoned_at,
            archived_at: session.archived_at,
            partner: self.partner_view(),
            is_inviter: self.side == Side::Creator,
            invitation_id: session.invitation.id.clone(),
            context: session.context.clone().filter(|_| self.side == Side::Creator),
            current_stage: mine.stage,
            stage_status: mine.status,
            self_action_needed: if is_open { session.gates(self.side, mine.stage).unsatisfied() } else { Vec::new() },
            partner_action_needed: if is_waiting { vec![PARTNER_READY] } else { Vec::new() },
            my_progress: mine,
            partner_progress: StageProgress {
                stage: theirs.stage,
                status: theirs.status,
                started_at: None,
                completed_at: None,
            },
            current_gates: self.current_gates(),
            paused_at: session.pause.as_ref().map(|pause| pause.at),
            paused_by: session
                .pause
                .as_ref()
                .and_then(|pause| session.member(pause.by))
                .map(|member| member.id.clone()),
            pause_reason: session.pause.as_ref().and_then(|pause| pause.reason.clone()),
            unread: me.news > me.last_seen,
            has_unread: me.news > me.last_seen,
            last_seen_seq: me.last_seen,
            last_viewed_at: me.viewed_at,
            partner_last_viewed_at: self.partner_activity().and_then(|partner| partner.viewed_at),
            source_inner_thoughts: None,
            partner_last_active_at: self
                .partner_activity()
                .map(|partner| partner.viewed_at.unwrap_or(partner.joined_at)),
            last_seen_chat_item_id: me.chat_item.clone(),
            seq: session.seq,
        }
    }

    /// The id of the relationship of the two people. While only one is known, it is made from the session.
    fn relationship_id(&self) -> String {
        match self.partner {
            Some(partner) => ids::relationship(&self.me.id, &partner.id),
            None => ids::derived(&[b"relationship", self.session.id.as_str().as_bytes()]),
        }
    }

    fn my_stage_progress(&self) -> StageProgress {
        let stage = self.me.stage();
        let record = self.me.record(stage);
        StageProgress {
            stage,
            status: self.session.stage_status(self.side, stage),
            started_at: record.map(|record| record.started_at),
            completed_at: record.and_then(|record| record.completed_at),
        }
    }

    fn partner_view(&self) -> PartnerView {
        let invitation = &self.session.invitation;
        let is_creator = self.side == Side::Creator;
        let nickname = invitation.invite_name.clone().filter(|_| is_creator);
        let person = invitation.person.clone().filter(|_| is_creator);
        PartnerView {
            id: self.partner.map(|partner| partner.id.clone()).or(person),
            name: self.partner.and_then(|partner| partner.name.clone()).or_else(|| nickname.clone()),
            nickname,
            joined: self.partner.is_some(),
        }
    }

    /// The partner, if the viewer may see when the partner was there.
    fn partner_activity(&self) -> Option<&Member> {
        self.partner.filter(|partner| partner.left_at.is_none() && !partner.hides_activity)
    }

    fn status_summary(&self, is_waiting: bool) -> StatusSummary {
        let (user_status, partner_status) = match self.session.status {
            SessionStatus::Created => ("Send the invitation", "Not invited yet"),
            SessionStatus::Invited => ("Invitation sent", "Has not joined yet"),
            SessionStatus::Paused => ("Paused", "Paused"),
            SessionStatus::Resolved => ("Resolved", "Resolved"),
            SessionStatus::Abandoned => ("Ended", "Ended"),
            SessionStatus::Archived => ("Archived", "Archived"),
            SessionStatus::Active | SessionStatus::Waiting if is_waiting => {
                ("You are done with this step", "Waiting for your partner")
            }
            SessionStatus::Active | SessionStatus::Waiting => {
                (if self.can_advance() { "Ready to go on" } else { "Your turn" }, "Working at their own pace")
            }
        };
        StatusSummary { user_status, partner_status }
    }

    pub(super) fn session_envelope(&self) -> SessionEnvelope {
        SessionEnvelope { session: self.session(), seq: self.session.seq }
    }

    pub(super) fn state(&self) -> SessionState {
        SessionState {
            session: self.session(),
            progress: self.progress(),
            invitation: self.invitation(),
            compact: self.compact_status(),
            messages: MessagesPage::default(),
            seq: self.session.seq,
        }
    }
}
