//! Closing the stage: the strategies that both are willing to do become agreements, or the partners end without one.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;

use super::{Stage4Command, is_over};
use crate::{
    agreement::{AgreementStatus, MAX_LIVE},
    command::{Command, action::MemberAction, fields, tending},
    event::EventBody,
    ids::StrategyId,
    private_text::PrivateText,
    rejection::Rejection,
    session::Session,
    stage::Stage,
    stage4::{ClosedAgreement, ClosureKind, ClosureReason},
    time::Timestamp,
};

/// The time from closing to the first check-in, unless the request says otherwise.
pub(crate) const CHECK_IN_AFTER: Duration = Duration::from_secs(10 * 24 * 60 * 60);

/// Clients send local dates, which are read as UTC. After this time a date is past in every time zone.
const PAST_IN_EVERY_ZONE: Duration = Duration::from_secs(36 * 60 * 60);
/// A check-in date must not be further ahead.
const FARTHEST: Duration = Duration::from_secs(2 * 366 * 24 * 60 * 60);

#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!({
    "kind": "NO_SHARED_AGREEMENT",
    "reason": "USER_STOPPED",
    "summary": "we stop here for now"
})))]
/// The body of `POST /sessions/{id}/stage4/close`. It closes the session, with or without agreements.
pub struct CloseStage4Request {
    /// SHARED_AGREEMENT or NO_SHARED_AGREEMENT. Left out: shared, if both are willing to do something.
    #[cfg_attr(feature = "schema", schema(value_type = Option<ClosureKind>))]
    kind: Option<String>,
    /// MUTUAL_SELECTION, NO_OVERLAP, BOUNDARY_HONORED or USER_STOPPED.
    #[cfg_attr(feature = "schema", schema(value_type = Option<ClosureReason>))]
    reason: Option<String>,
    /// When to check in, as 2026-02-01. Left out: 10 days from now.
    #[cfg_attr(feature = "schema", schema(schema_with = crate::command::field_schemas::date_or_time))]
    check_in_date: Option<String>,
    /// At most 2000 characters. Your partner sees it.
    #[cfg_attr(feature = "schema", schema(max_length = 2000))]
    summary: Option<String>,
    /// Another check-in date for single proposals, by their ids.
    #[cfg_attr(feature = "schema", schema(schema_with = crate::command::field_schemas::dates_by_id))]
    follow_up_dates_by_proposal_id: Option<BTreeMap<String, Option<String>>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    kind: Option<ClosureKind>,
    reason: Option<ClosureReason>,
    check_in_at: Option<Timestamp>,
    summary: Option<PrivateText>,
    follow_ups: BTreeMap<StrategyId, Timestamp>,
}

impl TryFrom<CloseStage4Request> for Command {
    type Error = Rejection;
    fn try_from(request: CloseStage4Request) -> Result<Self, Rejection> {
        let mut follow_ups = BTreeMap::new();
        for (id, date) in request.follow_up_dates_by_proposal_id.unwrap_or_default() {
            if let Some(at) = fields::date_or_time("followUpDatesByProposalId", date)? {
                follow_ups.insert(fields::id("followUpDatesByProposalId", &id)?, at);
            }
        }
        let kind = fields::optional_variant("kind", request.kind)?;
        let reason = fields::optional_variant("reason", request.reason)?;
        Ok(Stage4Command::Close(Close {
            kind,
            reason,
            check_in_at: fields::date_or_time("checkInDate", request.check_in_date)?,
            summary: fields::optional_text("summary", request.summary, 2_000)?,
            follow_ups,
        })
        .into())
    }
}

/// Closing again by the same partner changes nothing, since the first answer may have been lost.
pub(super) fn decide(action: &mut MemberAction<'_>, close: &Close) -> Result<(), Rejection> {
    let session = action.session;
    match &session.closure {
        Some(closure) if closure.by == action.side => return Ok(()),
        Some(_) => return Err(Rejection::conflict("your partner has closed this stage already")),
        None if session.resolved_at.is_some() => return Err(is_over(session.status)),
        None => {}
    }
    action.must_be_in(Stage::StrategicRepair)?;
    let now = action.ctx.now;
    let check_in_at = checked_date("checkInDate", close.check_in_at, now)?.unwrap_or(now + CHECK_IN_AFTER);
    for at in close.follow_ups.values() {
        checked_date("followUpDatesByProposalId", Some(*at), now)?;
    }
    // Before both have shared, the answer must not reveal what the partner is willing to do.
    let mutual = session.latest_submissions(action.side).map(|(mine, theirs)| mine.mutual(theirs));
    let (kind, reason) = outcome(close, mutual.as_deref())?;
    let agreements = match kind {
        ClosureKind::SharedAgreement => agreements(action, &mutual.unwrap_or_default(), check_in_at, &close.follow_ups),
        ClosureKind::NoSharedAgreement => Vec::new(),
    };
    let summary = close.summary.clone();
    action.record(EventBody::Closed { kind, reason, summary, check_in_at, agreements });
    tending::schedule(action);
    Ok(())
}

fn outcome(close: &Close, mutual: Option<&[StrategyId]>) -> Result<(ClosureKind, ClosureReason), Rejection> {
    let has_mutual = mutual.is_some_and(|mutual| !mutual.is_empty());
    let stops = close.reason.is_some_and(ClosureReason::is_a_decision_to_stop);
    let kind = close.kind.unwrap_or(if has_mutual && !stops && close.reason != Some(ClosureReason::NoOverlap) {
        ClosureKind::SharedAgreement
    } else {
        ClosureKind::NoSharedAgreement
    });
    match kind {
        ClosureKind::SharedAgreement if mutual.is_none() => {
            Err(Rejection::gate("a shared agreement needs both of you to have shared your stances"))
        }
        ClosureKind::SharedAgreement if !has_mutual => {
            Err(Rejection::gate("a shared agreement needs a proposal that both of you are willing to do"))
        }
        ClosureKind::SharedAgreement => match close.reason {
            None | Some(ClosureReason::MutualSelection) => Ok((kind, ClosureReason::MutualSelection)),
            Some(_) => Err(Rejection::invalid("reason", "another reason", "MUTUAL_SELECTION for a shared agreement")),
        },
        ClosureKind::NoSharedAgreement => match close.reason {
            Some(reason) if stops => Ok((kind, reason)),
            None | Some(ClosureReason::NoOverlap) if mutual.is_some() && !has_mutual => {
                Ok((kind, ClosureReason::NoOverlap))
            }
            _ => Err(Rejection::invalid(
                "reason",
                "another reason, or none",
                "BOUNDARY_HONORED or USER_STOPPED, or NO_OVERLAP when both of you have shared and are willing to do nothing in common",
            )),
        },
    }
}

/// The agreements of a closure: the first strategies that both are willing to do, up to the limit of agreements. A
/// proposed agreement among them counts as confirmed.
fn agreements(
    action: &MemberAction<'_>,
    mutual: &[StrategyId],
    check_in_at: Timestamp,
    follow_ups: &BTreeMap<StrategyId, Timestamp>,
) -> Vec<ClosedAgreement> {
    let session: &Session = action.session;
    let of = |strategy: &StrategyId, status| {
        let mut agreements = session.agreements.iter();
        agreements.find(|agreement| agreement.strategy.as_ref() == Some(strategy) && agreement.status == status)
    };
    let agreed = session.agreements.iter().filter(|agreement| agreement.status == AgreementStatus::Agreed).count();
    mutual
        .iter()
        .filter(|strategy| of(strategy, AgreementStatus::Agreed).is_none())
        .take(MAX_LIVE.saturating_sub(agreed))
        .map(|strategy| ClosedAgreement {
            id: of(strategy, AgreementStatus::Proposed).map_or_else(|| action.ctx.fresh(), |known| known.id.clone()),
            strategy: strategy.clone(),
            check_in_at: follow_ups.get(strategy).copied().unwrap_or(check_in_at),
        })
        .collect()
}

/// Refuses a check-in date in the past or too far ahead.
fn checked_date(field: &str, at: Option<Timestamp>, now: Timestamp) -> Result<Option<Timestamp>, Rejection> {
    match at {
        Some(at) if now.since(at) > PAST_IN_EVERY_ZONE => {
            Err(Rejection::invalid(field, "a date in the past", "a date from today on"))
        }
        Some(at) if at.since(now) > FARTHEST => {
            Err(Rejection::invalid(field, "a date too far ahead", "a date within two years"))
        }
        at => Ok(at),
    }
}
