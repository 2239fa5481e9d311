//! Decisions about pending consents, and revocations. A consent can be revoked even when the session is over. The
//! content is hidden from then on.

use serde::Deserialize;
use strum::VariantArray;

use super::{Command, action::MemberAction, empathy, fields, needs};
use crate::{
    consents::{self, ConsentKind, ConsentRecord},
    event::EventBody,
    ids::NeedId,
    member::Member,
    private_text::PrivateText,
    rejection::{Code, Rejection},
    session::Session,
    stage::Stage,
};

/// Either `kind` or `consentRecordId`.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!({ "kind": "empathy" })))]
pub struct RevokeConsentRequest {
    /// `empathy` or `needs`.
    #[cfg_attr(feature = "schema", schema(pattern = "^([Ee][Mm][Pp][Aa][Tt][Hh][Yy]|[Nn][Ee][Ee][Dd][Ss])$"))]
    kind: Option<String>,
    /// As in the history of consents.
    consent_record_id: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevokeConsent {
    Kind(ConsentKind),
    /// The id of one of the caller's records.
    Record(PrivateText),
}

impl TryFrom<RevokeConsentRequest> for Command {
    type Error = Rejection;
    fn try_from(request: RevokeConsentRequest) -> Result<Self, Rejection> {
        if let (None, Some(id)) = (&request.kind, &request.consent_record_id) {
            return Ok(Command::RevokeConsent(RevokeConsent::Record(PrivateText::new(id.as_str()))));
        }
        let kind = request.kind.map(|kind| kind.to_ascii_lowercase());
        Ok(Command::RevokeConsent(RevokeConsent::Kind(fields::variant("kind", kind)?)))
    }
}

/// The body of `POST /sessions/{id}/consent/decide`: the answer to a request of `GET …/consent/pending`.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!(
    { "consentRequestId": "crequest000000000000000001", "decision": "GRANTED" }
)))]
pub struct DecideConsentRequest {
    /// As in the list of pending consents.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    consent_request_id: Option<String>,
    /// `GRANTED` or `DENIED`.
    #[cfg_attr(feature = "schema", schema(value_type = String, pattern = "^(GRANTED|DENIED)$"))]
    decision: Option<String>,
    /// The attempt as it shall be shared, 1 to 2000 characters. Only for an attempt.
    #[cfg_attr(feature = "schema", schema(min_length = 1, max_length = 2000, pattern = r"\S"))]
    edited_content: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecideConsent {
    request: PrivateText,
    granted: bool,
    edited: Option<PrivateText>,
}

impl TryFrom<DecideConsentRequest> for Command {
    type Error = Rejection;
    fn try_from(request: DecideConsentRequest) -> Result<Self, Rejection> {
        let id = fields::required("consentRequestId", request.consent_request_id, "the id of a pending consent")?;
        let edited = request.edited_content;
        Ok(Command::DecideConsent(DecideConsent {
            request: PrivateText::new(id),
            granted: fields::name("decision", request.decision, &[("GRANTED", true), ("DENIED", false)])?,
            edited: edited.map(|text| fields::text("editedContent", Some(text), 1..=empathy::LONGEST)).transpose()?,
        }))
    }
}

impl Session {
    /// The caller's record that is to be revoked.
    pub(crate) fn revoked_record<'a>(&self, me: &'a Member, revoke: &RevokeConsent) -> Option<&'a ConsentRecord> {
        match revoke {
            RevokeConsent::Kind(kind) => me.consents.iter().rev().find(|record| record.kind == *kind && record.granted),
            RevokeConsent::Record(id) => me.consents.iter().find(|record| record.id(&self.id, &me.id) == id.reveal()),
        }
    }

    /// The content and the version that a consent request is about: the present version, or one that was decided
    /// before.
    pub(crate) fn requested_content(&self, me: &Member, decide: &DecideConsent) -> Option<(ConsentKind, u64)> {
        let current = ConsentKind::VARIANTS.iter().map(|kind| (*kind, me.consent_version(*kind)));
        let decided = me.consents.iter().map(|record| (record.kind, record.version));
        let is_meant = |(kind, version): &(ConsentKind, u64)| {
            consents::request_id(&self.id, &me.id, *kind, *version) == decide.request.reveal()
        };
        current.chain(decided).find(is_meant)
    }
}

impl Member {
    /// Whether this partner has content to share and has not decided about it.
    pub(crate) fn is_asked_for_consent(&self, kind: ConsentKind) -> bool {
        let is_prepared = match kind {
            ConsentKind::Empathy => {
                self.stage() == Stage::PerspectiveStretch
                    && self.empathy.may_be_edited()
                    && self.empathy.draft.as_ref().is_some_and(|draft| draft.ready)
            }
            ConsentKind::Needs => {
                self.stage() == Stage::NeedMapping && !self.needs.consent_stands() && self.needs.any_confirmed()
            }
        };
        let is_decided = |record: &ConsentRecord| !record.granted || record.is_in_force();
        is_prepared && !self.consents.decided(kind, self.consent_version(kind)).is_some_and(is_decided)
    }

    /// The needs that a consent given now would share.
    pub(crate) fn confirmed_needs(&self) -> Vec<NeedId> {
        self.needs.list.iter().filter(|need| need.confirmed).map(|need| need.id.clone()).collect()
    }
}

pub(super) fn revoke(action: &mut MemberAction<'_>, revoke: &RevokeConsent) -> Result<(), Rejection> {
    let record = action.session.revoked_record(action.me, revoke);
    let kind = match (revoke, record) {
        (RevokeConsent::Kind(kind), _) => *kind,
        (RevokeConsent::Record(_), None) => {
            return Err(Rejection::new(Code::NotFound, "there is no such consent among yours"));
        }
        (RevokeConsent::Record(_), Some(record)) if record.revoked_at.is_some() => return Ok(()),
        (RevokeConsent::Record(_), Some(record)) => record.kind,
    };
    let stands = match kind {
        ConsentKind::Empathy => action.me.empathy.shared().is_some(),
        ConsentKind::Needs => action.me.needs.consent_stands(),
    };
    if !stands || record.is_some_and(|record| !record.granted) {
        return Err(Rejection::conflict("you share nothing of this kind, so there is no consent to revoke"));
    }
    action.record(EventBody::ConsentRevoked { kind });
    Ok(())
}

pub(super) fn decide(action: &mut MemberAction<'_>, decide: &DecideConsent) -> Result<(), Rejection> {
    let none = || Rejection::new(Code::NotFound, "there is no such request for consent among yours");
    let (kind, version) = action.session.requested_content(action.me, decide).ok_or_else(none)?;
    if !action.me.is_asked_for_consent(kind) || version != action.me.consent_version(kind) {
        let decided = action.me.consents.decided(kind, version).ok_or_else(none)?;
        return if decided.granted == decide.granted {
            Ok(())
        } else {
            Err(Rejection::conflict("you have decided about this request already"))
        };
    }
    action.must_be_in(match kind {
        ConsentKind::Empathy => Stage::PerspectiveStretch,
        ConsentKind::Needs => Stage::NeedMapping,
    })?;
    match (decide.granted, kind) {
        (false, _) => action.record(EventBody::ConsentDenied { kind, version }),
        (true, ConsentKind::Needs) if decide.edited.is_some() => {
            return Err(Rejection::invalid("editedContent", "a text", "left out: needs are edited one by one"));
        }
        (true, ConsentKind::Needs) => needs::record_sharing(action, &action.me.confirmed_needs()),
        (true, ConsentKind::Empathy) => {
            let draft = action.me.empathy.draft.as_ref().ok_or_else(none)?;
            empathy::share(action, decide.edited.as_ref().unwrap_or(&draft.content).clone());
        }
    }
    Ok(())
}
