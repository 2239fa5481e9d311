//! What the fuzz targets (`tests/fuzz`) do with the bodies of requests. The tests do it with the corpus.

use serde::de::DeserializeOwned;
use serde_json::Value;
use tandem_actors::domain::{
    Command, CreateSession, Rejection,
    command::{self, SaveEmpathyDraftRequest},
    ids::{AgreementId, NeedId, StrategyId, SubChatId, TendingEntryId},
};

use super::{
    body::{Body, Json},
    body_problem,
    error::ApiError,
    resources::{account, people, push, service, sessions},
};
use crate::{
    push::{PreferencesPatch, Registration as RegisterPushToken},
    users::{Names, NamesRequest, PrivacyPatch},
};

/// Stands for what a partner wrote. No error repeats it.
const CANARY: &str = "canary";

type Read = fn(&[u8]) -> Result<(), ApiError>;

/// Reads a body as its route does.
fn read<T: DeserializeOwned + 'static>(
    bytes: &[u8],
    accept: impl Fn(T) -> Result<(), Rejection>,
) -> Result<(), ApiError> {
    let body = Json::<T>::parse(bytes);
    explains_alike::<T>(bytes, body.is_ok());
    Ok(accept(body?.0)?)
}

/// The explanation of a body that does not fit is read again, in another way. Both ways accept the same.
fn explains_alike<T: DeserializeOwned + 'static>(bytes: &[u8], fits: bool) {
    let Ok(value @ Value::Object(_)) = serde_json::from_slice(bytes) else { return };
    if let Some((place, problem)) = body_problem::find::<T>(&value) {
        assert!(!fits, "{place}: {problem:?} in a body that fits");
    } else if !fits {
        let without_repetitions = value.to_string();
        assert!(Json::<T>::parse(without_repetitions.as_bytes()).is_ok(), "a problem without an explanation");
    }
}

fn form<T: DeserializeOwned + 'static>(bytes: &[u8]) -> Result<(), ApiError> {
    read::<T>(bytes, |_| Ok(()))
}

fn command<T>(bytes: &[u8]) -> Result<(), ApiError>
where
    T: DeserializeOwned + 'static,
    Command: TryFrom<T, Error = Rejection>,
{
    read::<T>(bytes, |body| Command::try_from(body).map(drop))
}

fn command_on<I, T>(bytes: &[u8]) -> Result<(), ApiError>
where
    I: std::str::FromStr<Err: std::fmt::Debug>,
    T: DeserializeOwned + 'static,
    Command: TryFrom<(I, T), Error = Rejection>,
{
    let item = || "csomethingthatisthere".parse::<I>().expect("an id");
    read::<T>(bytes, |body| Command::try_from((item(), body)).map(drop))
}

macro_rules! bodies {
    ($($read:ident::<$($type:ty),+>;)+) => { &[$((stringify!($($type),+), $read::<$($type),+> as Read)),+] };
}

/// The bodies of all routes, by the type that reads them.
const BODIES: &[(&str, Read)] = bodies! {
    command::<command::AddNeedRequest>;
    command::<command::AdvanceRequest>;
    command_on::<SubChatId, command::AnswerSubChatRequest>;
    form::<account::BiometricRequest>;
    command::<command::CaptureNeedsRequest>;
    command::<command::CheckInRequest>;
    command::<command::CloseStage4Request>;
    command_on::<AgreementId, command::ConfirmAgreementRequest>;
    command::<command::ConfirmCommonGroundRequest>;
    command::<command::ConfirmInvitationRequest>;
    command::<command::ConfirmNeedsRequest>;
    command::<command::ConsentEmpathyRequest>;
    create::<command::CreateSessionRequest>;
    command::<command::DecideConsentRequest>;
    command::<command::DeclineInvitationRequest>;
    command::<command::EditNeedsRequest>;
    command::<command::FeelHeardRequest>;
    command::<command::InvitationMessageRequest>;
    names::<NamesRequest>;
    form::<people::NicknameRequest>;
    command::<command::OpenSubChatRequest>;
    command::<command::PauseRequest>;
    form::<PreferencesPatch>;
    form::<sessions::PresenceRequest>;
    form::<PrivacyPatch>;
    command::<command::ProposeAgreementRequest>;
    command::<command::ProposeStrategyRequest>;
    command::<command::ReenterTendingRequest>;
    form::<RegisterPushToken>;
    form::<push::RemovePushToken>;
    command_on::<SubChatId, command::ResolveSubChatRequest>;
    command_on::<TendingEntryId, command::RespondTendingRequest>;
    command::<command::ResubmitEmpathyRequest>;
    command::<command::RevokeConsentRequest>;
    command::<SaveEmpathyDraftRequest>;
    command_on::<SubChatId, command::SayInSubChatRequest>;
    command::<command::SelectManyRequest>;
    command_on::<StrategyId, command::SelectOneRequest>;
    command::<command::ShareNeedsRequest>;
    command::<command::SignCompactRequest>;
    command::<command::SkipRefinementRequest>;
    command::<command::SubmitRankingRequest>;
    command::<command::ValidateEmpathyRequest>;
    command::<command::ValidateNeedsRequest>;
    command::<command::ViewedRequest>;
    command_on::<NeedId, command::WalkNeedRequest>;
    form::<service::WriteEmpathyDraftRequest>;
    command::<command::WriteInvitationRequest>;
    command::<command::WriteTendingNoteRequest>;
};

fn create<T>(bytes: &[u8]) -> Result<(), ApiError>
where
    T: DeserializeOwned + 'static,
    CreateSession: TryFrom<T, Error = Rejection>,
{
    read::<T>(bytes, |body| CreateSession::try_from(body).map(drop))
}

fn names<T>(bytes: &[u8]) -> Result<(), ApiError>
where
    T: DeserializeOwned + 'static,
    Names: TryFrom<T, Error = Rejection>,
{
    read::<T>(bytes, |body| Names::try_from(body).map(drop))
}

/// A body, as each of the routes reads it. A refusal is a client's mistake, and repeats nothing of what was sent.
///
/// # Panics
/// If that does not hold.
pub fn body(bytes: &[u8]) {
    for (name, read) in BODIES {
        if let Err(error) = read(bytes) {
            let text = error.to_string();
            assert!(text.starts_with("VALIDATION_ERROR: ") && !text.contains(CANARY), "{name}: {text}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tandem_corpus::replay;
    use utoipa::openapi::RefOr;

    use super::*;
    use crate::http::routes;

    #[test]
    fn the_corpus_of_bodies_passes() {
        replay("body", body);
    }

    #[test]
    fn the_bodies_of_all_routes_are_tried() {
        let mut described = BTreeSet::new();
        for handler in routes::api().into_iter().flat_map(|route| route.handlers) {
            let Some(RefOr::T(body)) = handler.operation.request_body else { continue };
            for content in body.content.into_values() {
                let RefOr::T(content) = content else { continue };
                if let Some(RefOr::Ref(schema)) = content.schema {
                    described.insert(schema.ref_location.rsplit('/').next().unwrap_or_default().to_owned());
                }
            }
        }
        let last = |types: &&str| types.rsplit([' ', ':']).next().unwrap_or_default().to_owned();
        let tried: BTreeSet<String> = BODIES.iter().map(|(types, _)| last(types)).collect();
        assert_eq!(tried, described);
    }
}
