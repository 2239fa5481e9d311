//! A consent to share can be revoked, also when the session is over: the content is hidden from then on.

use serde::Deserialize;
use utoipa::ToSchema;

use super::{Command, fields, turn::Turn};
use crate::domain::{
    event::{ConsentKind, EventBody},
    rejection::Rejection,
};

#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevokeConsentRequest {
    /// `empathy` or `needs`.
    pub kind: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokeConsent {
    pub(in crate::domain) kind: ConsentKind,
}

impl TryFrom<RevokeConsentRequest> for Command {
    type Error = Rejection;
    fn try_from(request: RevokeConsentRequest) -> Result<Self, Rejection> {
        let kind = request.kind.map(|kind| kind.to_ascii_lowercase());
        let kinds = [ConsentKind::Empathy, ConsentKind::Needs].map(|kind| (kind.as_str(), kind));
        Ok(Command::RevokeConsent(RevokeConsent { kind: fields::name("kind", kind, &kinds)? }))
    }
}

pub(super) fn revoke(turn: &mut Turn<'_>, revoke: &RevokeConsent) -> Result<(), Rejection> {
    let stands = match revoke.kind {
        ConsentKind::Empathy => turn.me.empathy.shared().is_some(),
        ConsentKind::Needs => turn.me.needs.consent_stands(),
    };
    if !stands {
        return Err(Rejection::conflict("you share nothing of this kind at present"));
    }
    turn.record(EventBody::ConsentRevoked { kind: revoke.kind });
    Ok(())
}
