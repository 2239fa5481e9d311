//! The actions of the console's buttons. Each button is a form with the key of the sign-in. Each action is recorded in
//! the list of changes.

use std::{sync::Arc, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web::{self, Data, Form, ServiceConfig},
};
use maud::html;
use serde::Deserialize;
use tandem_actors::domain::ids::{SessionId, UserId};

use super::{
    Console,
    changes::{ConsoleChange, THE_NODE},
    explained::attempted,
    layout,
    pages::{self, push::ABLY, realtime::TestMessage},
    routes::{not_signed_in, nothing_here, shown, signed_in},
    sign_in::{Notice, Operator},
    view::View,
    words,
};
use crate::{
    backups::BackupService,
    http::{self, SignOutError},
    push::Outcome,
    realtime::RealtimeTokens,
};

pub fn mount(app: &mut ServiceConfig) {
    app.route("/release", web::post().to(release))
        .route("/test-push", web::post().to(test_push))
        .route("/sign-out", web::post().to(sign_out))
        .route("/erase", web::post().to(erase))
        .route("/reset-breaker", web::post().to(reset_breaker))
        .route("/publish", web::post().to(publish))
        .route("/back-up", web::post().to(back_up))
        .route("/rights", web::post().to(rights));
}

/// The longest text of a change, in characters.
const NOTED: usize = 200;
/// The pause between two checks whether a backup has ended.
const LOOK: Duration = Duration::from_millis(500);

/// An action of an operator who is signed in and has sent the console's own form.
struct ConfirmedAction {
    operator: Operator,
    cookie: String,
}

impl ConfirmedAction {
    #[expect(clippy::result_large_err, reason = "a refusal is an answer of its own, and rare")]
    fn of(request: &HttpRequest, console: &Console, form_key: &str) -> Result<Self, HttpResponse> {
        let (operator, cookie) = signed_in(request, console).ok_or_else(not_signed_in)?;
        if operator.sent(form_key) {
            return Ok(Self { operator, cookie });
        }
        let words = html! { p { "This form is not from the page that you see. Load the page again." } };
        Err(shown(StatusCode::FORBIDDEN, &layout::alone("Refused", &words)))
    }

    /// Records the change and shows a page with its outcome.
    async fn done(
        self,
        console: &Console,
        what: &'static str,
        of: &str,
        outcome: Result<String, String>,
        next: &str,
    ) -> HttpResponse {
        let notice = self.note(console, what, of, outcome).await;
        console.sign_ins.notify(&self.cookie, notice);
        see(next)
    }

    /// Records the change, and returns its outcome.
    async fn note(&self, console: &Console, what: &'static str, of: &str, outcome: Result<String, String>) -> Notice {
        let (is_failure, outcome) = match outcome {
            Ok(outcome) => (false, outcome),
            Err(problem) => (true, problem),
        };
        let shortened = |text: &str| text.chars().take(NOTED).collect::<String>();
        let (of, outcome) = (shortened(of), shortened(&outcome));
        let words = format!("{of}: {outcome}.");
        let at = console.node.clock.now();
        console
            .changes
            .note(ConsoleChange { at, by: self.operator.name.clone(), what: what.into(), of, outcome })
            .await;
        Notice { is_failure, words }
    }

    /// Nothing was done, because it was not confirmed.
    fn not_confirmed(&self, console: &Console, words: &str, next: &str) -> HttpResponse {
        console.sign_ins.notify(&self.cookie, Notice { is_failure: true, words: words.to_owned() });
        see(next)
    }
}

fn see(next: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, next)).finish()
}

#[derive(Deserialize)]
pub struct KeyForm {
    key: String,
}

pub async fn leave(request: HttpRequest, console: Data<Console>, form: Form<KeyForm>) -> HttpResponse {
    match ConfirmedAction::of(&request, &console, &form.key) {
        Ok(acting) => {
            console.sign_ins.leave(&acting.cookie);
            see("/console")
        }
        Err(refused) => refused,
    }
}

async fn back_up(request: HttpRequest, console: Data<Console>, form: Form<KeyForm>) -> HttpResponse {
    let acting = match ConfirmedAction::of(&request, &console, &form.key) {
        Ok(acting) => acting,
        Err(refused) => return refused,
    };
    let outcome = match console.node.backups.as_ref().map(|backups| (backups, backups.begin_own())) {
        Some((backups, Ok(Some(number)))) => {
            let by = acting.operator.name.clone();
            actix_web::rt::spawn(record_end(console.clone(), backups.clone(), number, by));
            Ok("begun; how it goes stands below".to_owned())
        }
        Some((_, Err(error))) => Err(format!("not begun: {error}")),
        _ => Err("not begun: backup.to is not set".to_owned()),
    };
    acting.done(&console, "back up", THE_NODE, outcome, "/console/backups").await
}

/// Records the end of a backup that was begun here.
async fn record_end(console: Data<Console>, backups: Arc<BackupService>, number: u64, by: String) {
    let ended = loop {
        match backups.ended(number) {
            Some(ended) => break ended,
            None => tokio::time::sleep(LOOK).await,
        }
    };
    let outcome = match (&ended.problem, &ended.taken) {
        (Some(problem), _) => format!("failed: {problem}"),
        (None, Some(taken)) => format!("complete: {} rows", taken.rows),
        (None, None) => "ended".to_owned(),
    };
    let at = console.node.clock.now();
    console.changes.note(ConsoleChange { at, by, what: "back up".into(), of: THE_NODE.to_owned(), outcome }).await;
}

#[derive(Deserialize)]
struct SessionForm {
    key: String,
    session: String,
}

async fn release(request: HttpRequest, console: Data<Console>, form: Form<SessionForm>) -> HttpResponse {
    let acting = match ConfirmedAction::of(&request, &console, &form.key) {
        Ok(acting) => acting,
        Err(refused) => return refused,
    };
    let Ok(session) = form.session.parse::<SessionId>() else { return nothing_here() };
    let coordinator = &console.node.coordinator;
    let tried = coordinator.try_release(&session).await;
    let outcome = match (tried, coordinator.quarantine(&session)) {
        (_, Some(quarantine)) => Err(format!("back in quarantine: {}", quarantine.reason())),
        (Ok(true), None) => Ok("released, it works again".to_owned()),
        (Ok(false), None) => Ok("it was not in quarantine".to_owned()),
        (Err(refusal), None) => Err(format!("released, and does not answer yet: {refusal}")),
    };
    let next = format!("/console/session?id={session}");
    acting.done(&console, "release from quarantine", session.as_str(), outcome, &next).await
}

#[derive(Deserialize)]
struct UserForm {
    key: String,
    user: String,
    /// The text that confirms an erasure.
    #[serde(default)]
    confirm: String,
    /// `yes` confirms a sign-out.
    #[serde(default)]
    sure: String,
}

impl UserForm {
    #[expect(clippy::result_large_err, reason = "a refusal is an answer of its own, and rare")]
    fn read(
        &self,
        request: &HttpRequest,
        console: &Console,
    ) -> Result<(ConfirmedAction, UserId, String), HttpResponse> {
        let acting = ConfirmedAction::of(request, console, &self.key)?;
        let user: UserId = self.user.parse().map_err(|_| nothing_here())?;
        let next = format!("/console/people?user={}", words::encoded(user.as_str()));
        Ok((acting, user, next))
    }
}

async fn test_push(request: HttpRequest, console: Data<Console>, form: Form<UserForm>) -> HttpResponse {
    let (acting, user, next) = match form.read(&request, &console) {
        Ok(read) => read,
        Err(refused) => return refused,
    };
    let outcome = match console.pusher.send_test(&user).await {
        Ok(outcomes) if outcomes.is_empty() => Err("no device can be reached".to_owned()),
        Ok(outcomes) => {
            let told = outcomes.iter().map(|(device, outcome)| format!("{device}: {}", attempted(Some(outcome))));
            let told = told.collect::<Vec<_>>().join("; ");
            let is_accepted = |(_, outcome): &(String, Outcome)| matches!(outcome, Outcome::Accepted { .. });
            if outcomes.iter().any(is_accepted) { Ok(told) } else { Err(told) }
        }
        Err(_) => Err("the devices cannot be read".to_owned()),
    };
    acting.done(&console, "test push", user.as_str(), outcome, &next).await
}

async fn sign_out(request: HttpRequest, console: Data<Console>, form: Form<UserForm>) -> HttpResponse {
    let (acting, user, next) = match form.read(&request, &console) {
        Ok(read) => read,
        Err(refused) => return refused,
    };
    if form.sure != "yes" {
        return acting.not_confirmed(&console, "Not signed out: confirm it first.", &next);
    }
    let outcome = signed_out(&http::sign_out_everywhere(&console.node, &user).await);
    acting.done(&console, "sign out", user.as_str(), outcome, &next).await
}

fn signed_out(outcome: &Result<RealtimeTokens, SignOutError>) -> Result<String, String> {
    match outcome {
        Ok(RealtimeTokens::Ended) => Ok("signed out everywhere".to_owned()),
        Ok(RealtimeTokens::ValidUntilExpiry) => {
            Ok("signed out of the API; realtime tokens of Ably's cloud stay valid until they expire".to_owned())
        }
        Err(error) => Err(error.to_string()),
    }
}

async fn erase(request: HttpRequest, console: Data<Console>, form: Form<UserForm>) -> HttpResponse {
    let (acting, user, next) = match form.read(&request, &console) {
        Ok(read) => read,
        Err(refused) => return refused,
    };
    if form.confirm.trim() != user.as_str() {
        return acting.not_confirmed(&console, "Not erased: the id that was typed is another one.", &next);
    }
    let outcome = match http::erase_account(&console.node, &user).await {
        Ok(erasure) => Ok(format!("erased; {} ended", words::count(erasure.sessions_abandoned, "live session"))),
        Err(error) => Err(format!("not erased: {error}")),
    };
    acting.done(&console, "erase", user.as_str(), outcome, &next).await
}

#[derive(Deserialize)]
struct BreakerForm {
    key: String,
    breaker: String,
}

async fn reset_breaker(request: HttpRequest, console: Data<Console>, form: Form<BreakerForm>) -> HttpResponse {
    let acting = match ConfirmedAction::of(&request, &console, &form.key) {
        Ok(acting) => acting,
        Err(refused) => return refused,
    };
    let of_cloud = console.node.realtime.provider.breaker().filter(|_| form.breaker == ABLY);
    let found = match of_cloud {
        Some(breaker) => {
            breaker.reset();
            true
        }
        None => console.pusher.reset_breaker(&form.breaker),
    };
    if !found {
        return nothing_here();
    }
    let outcome = "reset; what waits is tried now, and it opens again if that fails".to_owned();
    acting.done(&console, "reset breaker", &form.breaker, Ok(outcome), "/console/push").await
}

#[derive(Deserialize)]
struct PublishForm {
    key: String,
    #[serde(flatten)]
    message: TestMessage,
}

/// Shows the error together with the form as it was filled in.
async fn publish(request: HttpRequest, console: Data<Console>, form: Form<PublishForm>) -> HttpResponse {
    let acting = match ConfirmedAction::of(&request, &console, &form.key) {
        Ok(acting) => acting,
        Err(refused) => return refused,
    };
    let Some(embedded) = console.node.realtime.provider.embedded() else { return nothing_here() };
    let TestMessage { channel, name, data } = &form.message;
    let published = match serde_json::from_str::<serde_json::Value>(data) {
        Ok(json) => embedded.publish_test(channel, name, json.to_string()).await,
        Err(_) => Err("the data is not JSON".to_owned()),
    };
    let what = "publish a test message";
    match published {
        Ok(()) => acting.done(&console, what, channel, Ok("published".to_owned()), "/console/realtime").await,
        Err(problem) => {
            let notice = acting.note(&console, what, channel, Err(format!("not published: {problem}"))).await;
            let page = pages::realtime::page(&console, &acting.operator, &form.message);
            shown(StatusCode::OK, &layout::whole(&View::Realtime, &page, &acting.operator, Some(&notice)))
        }
    }
}

const NOT_FOR_REALTIME: &str = "This is a token for the API, not for realtime. A client with it gets one for realtime by \
    GET /api/v1/auth/ably-token.";

#[derive(Deserialize)]
struct PastedToken {
    key: String,
    token: String,
}

/// Changes nothing, so it is not recorded. It is a form because a token must not be in an address.
async fn rights(request: HttpRequest, console: Data<Console>, form: Form<PastedToken>) -> HttpResponse {
    let acting = match ConfirmedAction::of(&request, &console, &form.key) {
        Ok(acting) => acting,
        Err(refused) => return refused,
    };
    let Some(embedded) = console.node.realtime.provider.embedded() else { return nothing_here() };
    let token = form.token.trim();
    let rights = match embedded.endpoint.rights_of(token) {
        Ok(rights) => Ok(rights),
        Err(_) if console.node.auth.verify(token).await.is_ok() => Err(NOT_FOR_REALTIME.to_owned()),
        Err(error) => Err(format!("Not valid: {}", error.message)),
    };
    let page = pages::realtime::with_rights(&acting.operator, &rights);
    shown(StatusCode::OK, &layout::whole(&View::Realtime, &page, &acting.operator, None))
}

#[cfg(test)]
mod tests {
    use tandem_ably::ErrorInfo;

    use super::*;
    use crate::realtime::TokensNotEnded;

    #[test]
    fn a_sign_out_says_what_has_ended_and_what_may_go_on() {
        let words = signed_out(&Err(TokensNotEnded(ErrorInfo::unavailable("the node is stopping")).into()));
        let expected = "signed out of the API; realtime tokens may still be valid: the node is stopping";
        assert_eq!(words.unwrap_err(), expected);
        assert_eq!(signed_out(&Ok(RealtimeTokens::Ended)).unwrap(), "signed out everywhere");
        assert!(signed_out(&Ok(RealtimeTokens::ValidUntilExpiry)).unwrap().contains("until they expire"));
    }
}
