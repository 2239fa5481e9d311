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

/// The answer to `POST /sessions/{id}/pause`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Paused {
    paused: bool,
    paused_at: Option<Timestamp>,
    status: SessionStatus,
    pub(super) session: SessionView,
    seq: Seq,
}

/// The answer to `POST /sessions/{id}/resume`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Resumed {
    resumed: bool,
    resumed_at: Timestamp,
    status: SessionStatus,
    pub(super) session: SessionView,
    seq: Seq,
}

/// The answer to `POST /sessions/{id}/resolve`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Resolved {
    resolved: bool,
    resolved_at: Option<Timestamp>,
    /// The ones that both have agreed on.
    agreements: Vec<AgreementView>,
    /// One of the agreements has a follow-up date.
    follow_up_scheduled: bool,
    seq: Seq,
}

/// The answer to `POST /sessions/{id}/archive`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Archived {
    archived: bool,
    archived_at: Option<Timestamp>,
    seq: Seq,
}

/// The answer to `DELETE /sessions/{id}`: the caller no longer sees the session.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Deleted {
    deleted: bool,
    summary: WithdrawalSummary,
    seq: Seq,
}

/// What the caller leaves behind.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct WithdrawalSummary {
    session_id: SessionId,
    status: SessionStatus,
    /// The session is abandoned.
    session_abandoned: bool,
    /// The number of the caller's own needs.
    needs: usize,
    strategies: usize,
    agreements: usize,
}

/// The answer to `POST /sessions/{id}/viewed`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Viewed {
    success: bool,
    last_viewed_at: Timestamp,
    last_seen_seq: Seq,
    /// As the client has named it.
    last_seen_chat_item_id: Option<PrivateText>,
    /// There is still news after `lastSeenSeq`.
    unread: bool,
    seq: Seq,
}

/// The answer to `POST /sessions/{id}/share-tab-viewed`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ShareTabViewed {
    success: bool,
    last_viewed_share_tab_at: Timestamp,
    seq: Seq,
}

/// The answer to `POST /sessions/{id}/nudge`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Nudged {
    nudged: bool,
    nudged_at: Option<Timestamp>,
    /// When the caller can nudge again.
    next_allowed_at: Timestamp,
    seq: Seq,
}

/// A change without an answer of its own.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Done {
    pub(super) done: bool,
    pub(super) seq: Seq,
}

/// An event as it was announced.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SeenEvent {
    seq: Seq,
    /// The name on the session's channel.
    name: &'static str,
    /// The same as `name`.
    event: &'static str,
    /// The payload that was published for the caller.
    #[cfg_attr(feature = "schema", schema(value_type = Object))]
    data: Map<String, Value>,
    timestamp: Timestamp,
}

/// The answer to `GET /sessions/{id}/events`: a page of the events that the caller may see, in order.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct EventsPage {
    /// In the order of their `seq`. Events that the caller may not see are left out.
    pub events: Vec<SeenEvent>,
    /// The place to go on from, as `after`.
    pub seq: Seq,
    /// There are events after this page; ask again with `after` set to `seq`.
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
