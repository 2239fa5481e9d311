//! Answers about the life of a session, what a partner has seen, and the events after a `seq`.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{AgreementView, SessionView, Viewer};
use crate::{
    agreement::AgreementStatus,
    event::Event,
    ids::{Seq, SessionId, UserId},
    private_text::PrivateText,
    session::Session,
    stage::SessionStatus,
    time::Timestamp,
};

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Paused {
    pub paused: bool,
    pub paused_at: Option<Timestamp>,
    pub status: SessionStatus,
    pub session: SessionView,
    pub seq: Seq,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Resumed {
    pub resumed: bool,
    pub resumed_at: Timestamp,
    pub status: SessionStatus,
    pub session: SessionView,
    pub seq: Seq,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Resolved {
    pub resolved: bool,
    pub resolved_at: Option<Timestamp>,
    /// The ones that both have agreed on.
    pub agreements: Vec<AgreementView>,
    pub follow_up_scheduled: bool,
    pub seq: Seq,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Archived {
    pub archived: bool,
    pub archived_at: Option<Timestamp>,
    pub seq: Seq,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Deleted {
    pub deleted: bool,
    pub summary: WithdrawalSummary,
    pub seq: Seq,
}

/// What the caller leaves behind.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct WithdrawalSummary {
    pub session_id: SessionId,
    pub status: SessionStatus,
    pub session_abandoned: bool,
    /// The caller's own.
    pub needs: usize,
    pub strategies: usize,
    pub agreements: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Viewed {
    pub success: bool,
    pub last_viewed_at: Timestamp,
    pub last_seen_seq: Seq,
    /// As the client has named it.
    pub last_seen_chat_item_id: Option<PrivateText>,
    pub unread: bool,
    pub seq: Seq,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ShareTabViewed {
    pub success: bool,
    pub last_viewed_share_tab_at: Timestamp,
    pub seq: Seq,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Nudged {
    pub nudged: bool,
    pub nudged_at: Option<Timestamp>,
    pub next_allowed_at: Timestamp,
    pub seq: Seq,
}

/// A change without an answer of its own.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Done {
    pub done: bool,
    pub seq: Seq,
}

/// An event as it was announced.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SeenEvent {
    pub seq: Seq,
    /// The name on the session's channel.
    pub name: &'static str,
    pub event: &'static str,
    #[cfg_attr(feature = "schema", schema(value_type = Object))]
    pub data: Map<String, Value>,
    pub timestamp: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct EventsPage {
    pub events: Vec<SeenEvent>,
    pub seq: Seq,
    pub has_more: bool,
}

impl SeenEvent {
    /// What a member may see of a stored event: the same that was published. None for other events, and for users who
    /// are not members.
    pub fn of(session: &Session, event: &Event, viewer: &UserId) -> Option<Self> {
        session.side(viewer)?;
        let announcement = event.announcement(&session.id)?;
        if announcement.only.as_ref().is_some_and(|only| only != viewer) {
            return None;
        }
        Some(Self {
            seq: event.seq,
            name: announcement.name,
            event: announcement.name,
            data: announcement.payload_for(viewer),
            timestamp: event.at,
        })
    }
}

impl Viewer<'_> {
    pub(super) fn paused(&self) -> Paused {
        Paused {
            paused: self.session.status == SessionStatus::Paused,
            paused_at: self.session.pause.as_ref().map(|pause| pause.at),
            status: self.session.status,
            session: self.session(),
            seq: self.session.seq,
        }
    }

    pub(super) fn resumed(&self) -> Resumed {
        Resumed {
            resumed: self.session.status == SessionStatus::Active,
            resumed_at: self.session.last_event_at,
            status: self.session.status,
            session: self.session(),
            seq: self.session.seq,
        }
    }

    pub(super) fn resolved(&self) -> Resolved {
        let agreed = self.session.agreements.iter().filter(|agreement| agreement.status == AgreementStatus::Agreed);
        Resolved {
            resolved: self.session.resolved_at.is_some(),
            resolved_at: self.session.resolved_at,
            follow_up_scheduled: agreed.clone().any(|agreement| agreement.follow_up().is_some()),
            agreements: agreed.map(|agreement| self.agreement(agreement)).collect(),
            seq: self.session.seq,
        }
    }

    pub(super) fn archived(&self) -> Archived {
        Archived {
            archived: self.session.status == SessionStatus::Archived,
            archived_at: self.session.archived_at,
            seq: self.session.seq,
        }
    }

    pub(super) fn deleted(&self) -> Deleted {
        let mine = |strategy: &&crate::strategy::Strategy| strategy.author == self.side;
        Deleted {
            deleted: self.me.left_at.is_some(),
            summary: WithdrawalSummary {
                session_id: self.session.id.clone(),
                status: self.session.status,
                session_abandoned: self.session.status == SessionStatus::Abandoned,
                needs: self.me.needs.list.len(),
                strategies: self.session.pool.strategies.iter().filter(mine).count(),
                agreements: self.session.agreements.len(),
            },
            seq: self.session.seq,
        }
    }

    pub(super) fn viewed(&self) -> Viewed {
        Viewed {
            success: true,
            last_viewed_at: self.me.viewed_at.unwrap_or(self.now),
            last_seen_seq: self.me.last_seen,
            last_seen_chat_item_id: self.me.chat_item.clone(),
            unread: self.me.news > self.me.last_seen,
            seq: self.session.seq,
        }
    }

    pub(super) fn share_tab_viewed(&self) -> ShareTabViewed {
        ShareTabViewed {
            success: true,
            last_viewed_share_tab_at: self.me.share_tab_seen_at.unwrap_or(self.now),
            seq: self.session.seq,
        }
    }

    pub(super) fn nudged(&self) -> Nudged {
        let at = self.me.nudged_at.unwrap_or(self.now);
        Nudged {
            nudged: true,
            nudged_at: self.me.nudged_at,
            next_allowed_at: at + self.settings.nudge_min_interval,
            seq: self.session.seq,
        }
    }
}
