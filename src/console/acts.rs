//! What the console's buttons do. Each is a form that carries the key of the sign-in, and each leaves a line in the
//! changes.

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
    changes::Change,
    explained::attempted,
    layout,
    pages::{self, push::ABLY},
    routes::{not_signed_in, nothing_here, shown, signed_in},
    sign_in::Operator,
    view::View,
    words,
};
use crate::{
    backups::BackupService,
    http::{self, SignOutError},
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

/// Somebody who is signed in and sent the console's own form.
struct Acting {
    operator: Operator,
    cookie: String,
}

impl Acting {
    #[expect(clippy::result_large_err, reason = "a refusal is an answer of its own, and rare")]
    fn of(request: &HttpRequest, console: &Console, form_key: &str) -> Result<Self, HttpResponse> {
        let (operator, cookie) = signed_in(request, console).ok_or_else(not_signed_in)?;
        if operator.sent(form_key) {
            return Ok(Self { operator, cookie });
        }
        let words = html! { p { "This form is not from the page that you see. Load the page again." } };
        Err(shown(StatusCode::FORBIDDEN, &layout::alone("Refused", &words)))
    }

    /// Notes the change and shows a page that says how it ended.
    async fn done(self, console: &Console, what: &'static str, of: &str, outcome: &str, next: &str) -> HttpResponse {
        let at = console.node.clock.now();
        let shortened = |text: &str| text.chars().take(NOTED).collect::<String>();
        let (of, outcome) = (shortened(of), shortened(outcome));
        console.sign_ins.notify(&self.cookie, format!("{of}: {outcome}."));
        console.changes.note(Change { at, by: self.operator.name, what: what.into(), of, outcome }).await;
        HttpResponse::SeeOther().insert_header((header::LOCATION, next)).finish()
    }
}

#[derive(Deserialize)]
pub struct JustKey {
    key: String,
}

pub async fn leave(request: HttpRequest, console: Data<Console>, form: Form<JustKey>) -> HttpResponse {
    match Acting::of(&request, &console, &form.key) {
        Ok(acting) => {
            console.sign_ins.leave(&acting.cookie);
            HttpResponse::SeeOther().insert_header((header::LOCATION, "/console")).finish()
        }
        Err(refused) => refused,
    }
}

async fn back_up(request: HttpRequest, console: Data<Console>, form: Form<JustKey>) -> HttpResponse {
    let acting = match Acting::of(&request, &console, &form.key) {
        Ok(acting) => acting,
        Err(refused) => return refused,
    };
    let outcome = match console.node.backups.as_ref().map(BackupService::begin_own) {
        Some(Ok(true)) => "begun".to_owned(),
        Some(Err(error)) => format!("not begun: {error}"),
        _ => "not begun: backup.to is not set".to_owned(),
    };
    acting.done(&console, "back up", "The node", &outcome, "/console/backups").await
}

#[derive(Deserialize)]
struct OfSession {
    key: String,
    session: String,
}

async fn release(request: HttpRequest, console: Data<Console>, form: Form<OfSession>) -> HttpResponse {
    let acting = match Acting::of(&request, &console, &form.key) {
        Ok(acting) => acting,
        Err(refused) => return refused,
    };
    let Ok(session) = form.session.parse::<SessionId>() else { return nothing_here() };
    let coordinator = &console.node.coordinator;
    let tried = coordinator.try_release(&session).await;
    let outcome = match (tried, coordinator.quarantine(&session)) {
        (_, Some(quarantine)) => format!("back in quarantine: {}", quarantine.reason()),
        (Ok(true), None) => "released, it works again".to_owned(),
        (Ok(false), None) => "it was not in quarantine".to_owned(),
        (Err(refusal), None) => format!("released, and does not answer yet: {refusal}"),
    };
    let next = format!("/console/session?id={session}");
    acting.done(&console, "release from quarantine", session.as_str(), &outcome, &next).await
}

#[derive(Deserialize)]
struct OfUser {
    key: String,
    user: String,
    /// What was typed to confirm an erasure.
    #[serde(default)]
    confirm: String,
}

impl OfUser {
    #[expect(clippy::result_large_err, reason = "a refusal is an answer of its own, and rare")]
    fn read(&self, request: &HttpRequest, console: &Console) -> Result<(Acting, UserId, String), HttpResponse> {
        let acting = Acting::of(request, console, &self.key)?;
        let user: UserId = self.user.parse().map_err(|_| nothing_here())?;
        let next = format!("/console/people?user={}", words::encoded(user.as_str()));
        Ok((acting, user, next))
    }
}

async fn test_push(request: HttpRequest, console: Data<Console>, form: Form<OfUser>) -> HttpResponse {
    let (acting, user, next) = match form.read(&request, &console) {
        Ok(read) => read,
        Err(refused) => return refused,
    };
    let outcome = match console.pusher.send_test(&user).await {
        Ok(outcomes) if outcomes.is_empty() => "no device can be reached".to_owned(),
        Ok(outcomes) => {
            let told = outcomes.iter().map(|(device, outcome)| format!("{device}: {}", attempted(Some(outcome))));
            told.collect::<Vec<_>>().join("; ")
        }
        Err(_) => "the devices cannot be read".to_owned(),
    };
    acting.done(&console, "test push", user.as_str(), &outcome, &next).await
}

async fn sign_out(request: HttpRequest, console: Data<Console>, form: Form<OfUser>) -> HttpResponse {
    let (acting, user, next) = match form.read(&request, &console) {
        Ok(read) => read,
        Err(refused) => return refused,
    };
    let outcome = signed_out(&http::sign_out_everywhere(&console.node, &user).await);
    acting.done(&console, "sign out", user.as_str(), &outcome, &next).await
}

fn signed_out(outcome: &Result<RealtimeTokens, SignOutError>) -> String {
    match outcome {
        Ok(RealtimeTokens::Ended) => "signed out everywhere".to_owned(),
        Ok(RealtimeTokens::ValidUntilExpiry) => {
            "signed out of the API; realtime tokens of Ably's cloud stay valid until they expire".to_owned()
        }
        Err(error) => error.to_string(),
    }
}

async fn erase(request: HttpRequest, console: Data<Console>, form: Form<OfUser>) -> HttpResponse {
    let (acting, user, next) = match form.read(&request, &console) {
        Ok(read) => read,
        Err(refused) => return refused,
    };
    if form.confirm.trim() != user.as_str() {
        console.sign_ins.notify(&acting.cookie, "Not erased: the id that was typed is another one.".to_owned());
        return HttpResponse::SeeOther().insert_header((header::LOCATION, next)).finish();
    }
    let outcome = match http::erase_account(&console.node, &user).await {
        Ok(erasure) => {
            format!("erased; {} ended", words::count(erasure.sessions_abandoned, "live session"))
        }
        Err(error) => format!("not erased: {error}"),
    };
    acting.done(&console, "erase", user.as_str(), &outcome, &next).await
}

#[derive(Deserialize)]
struct OfBreaker {
    key: String,
    breaker: String,
}

async fn reset_breaker(request: HttpRequest, console: Data<Console>, form: Form<OfBreaker>) -> HttpResponse {
    let acting = match Acting::of(&request, &console, &form.key) {
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
    acting.done(&console, "reset breaker", &form.breaker, "closed", "/console/push").await
}

#[derive(Deserialize)]
struct TestMessage {
    key: String,
    channel: String,
    name: String,
    data: String,
}

async fn publish(request: HttpRequest, console: Data<Console>, form: Form<TestMessage>) -> HttpResponse {
    let acting = match Acting::of(&request, &console, &form.key) {
        Ok(acting) => acting,
        Err(refused) => return refused,
    };
    let Some(embedded) = console.node.realtime.provider.embedded() else { return nothing_here() };
    let outcome = match serde_json::from_str::<serde_json::Value>(&form.data) {
        Ok(json) => embedded.publish_test(&form.channel, &form.name, json.to_string()).await,
        Err(_) => Err("the data is not JSON".to_owned()),
    };
    let outcome = match outcome {
        Ok(()) => "published".to_owned(),
        Err(problem) => format!("not published: {problem}"),
    };
    acting.done(&console, "publish a test message", &form.channel, &outcome, "/console/realtime").await
}

#[derive(Deserialize)]
struct Pasted {
    key: String,
    token: String,
}

/// Changes nothing, and so leaves no line. It is a form because a token must not stand in an address.
async fn rights(request: HttpRequest, console: Data<Console>, form: Form<Pasted>) -> HttpResponse {
    let acting = match Acting::of(&request, &console, &form.key) {
        Ok(acting) => acting,
        Err(refused) => return refused,
    };
    let Some(embedded) = console.node.realtime.provider.embedded() else { return nothing_here() };
    let rights = embedded.endpoint.rights_of(form.token.trim());
    let page = match &rights {
        Ok(rights) => pages::realtime::with_rights(&acting.operator, Ok(rights)),
        Err(error) => pages::realtime::with_rights(&acting.operator, Err(&error.message)),
    };
    shown(StatusCode::OK, &layout::whole(&View::Realtime, &page, &acting.operator, None))
}

#[cfg(test)]
mod tests {
    use tandem_ably::ErrorInfo;

    use super::*;
    use crate::realtime::TokensNotEnded;

    #[test]
    fn a_sign_out_says_what_has_ended_and_what_may_not_have() {
        let words = signed_out(&Err(TokensNotEnded(ErrorInfo::unavailable("the node is stopping")).into()));
        assert_eq!(words, "signed out of the API; realtime tokens may still be valid: the node is stopping");
        assert_eq!(signed_out(&Ok(RealtimeTokens::Ended)), "signed out everywhere");
        assert!(signed_out(&Ok(RealtimeTokens::ValidUntilExpiry)).contains("until they expire"));
    }
}
