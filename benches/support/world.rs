//! Sessions for the measurements, made over HTTP as clients make them.

use std::net::SocketAddr;

use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

use super::{
    load::{all_succeed, request},
    node::SECRET,
};

pub fn token(user: &str) -> String {
    let claims = json!({ "sub": user, "name": user, "exp": jsonwebtoken::get_current_timestamp() + 24 * 3600 });
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&Header::default(), &claims, &key).expect("claims can be signed")
}

pub struct Session {
    pub id: String,
    /// The creator's token, and the partner's.
    pub creator: String,
    pub partner: String,
}

/// The draft that is saved again and again.
pub const DRAFT: &str =
    "You might feel that your evenings are never your own, and that I decide without you when we meet.";

impl Session {
    /// Tokens of the n-th creator and partner, who have no session yet.
    pub fn of_people(n: usize) -> Self {
        Self { id: String::new(), creator: token(&format!("creator-{n}")), partner: token(&format!("partner-{n}")) }
    }

    pub fn path(&self, rest: &str) -> String {
        format!("/api/v1/sessions/{}{rest}", self.id)
    }
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{pointer} in {value}")).to_owned()
}

/// Makes sessions with both partners, in which the creator is in stage 2 and may write a draft.
pub fn sessions_in_stage_two(address: SocketAddr, count: usize) -> Vec<Session> {
    type Step = (fn(&Session) -> &String, &'static str, Option<&'static str>);
    const STEPS: [Step; 5] = [
        (|session| &session.creator, "/compact/sign", None),
        (|session| &session.partner, "/compact/sign", None),
        (|session| &session.creator, "/stages/advance", None),
        (|session| &session.creator, "/feel-heard", Some(r#"{"confirmed":true}"#)),
        (|session| &session.creator, "/stages/advance", None),
    ];
    let (sessions, invitations) = invited(address, count);
    let accept = |(session, invitation): (&Session, &String)| {
        request("POST", &format!("/api/v1/invitations/{invitation}/accept"), Some(&session.partner), None)
    };
    all_succeed(address, sessions.iter().zip(&invitations).map(accept).collect());
    for (who, path, body) in STEPS {
        let requests = sessions.iter().map(|session| request("POST", &session.path(path), Some(who(session)), body));
        all_succeed(address, requests.collect());
    }
    sessions
}

/// Makes sessions with an open invitation, and returns the invitations' ids too.
pub fn invited(address: SocketAddr, count: usize) -> (Vec<Session>, Vec<String>) {
    let people: Vec<_> = (0..count).map(Session::of_people).collect();
    let created = all_succeed(address, people.iter().map(|session| invite(&session.creator)).collect());
    let invitations = created.iter().map(|data| text(data, "/invitationId")).collect();
    let sessions =
        people.into_iter().zip(&created).map(|(people, data)| Session { id: text(data, "/session/id"), ..people });
    (sessions.collect(), invitations)
}

/// Creates a session.
pub fn invite(creator: &str) -> Vec<u8> {
    request("POST", "/api/v1/sessions", Some(creator), Some(r#"{"inviteName":"Sam"}"#))
}

/// The request that saves the creator's empathy draft: one durable event each time, which is not published.
pub fn save_draft(session: &Session) -> Vec<u8> {
    let body = json!({ "content": DRAFT, "readyToShare": false }).to_string();
    request("POST", &session.path("/empathy/draft"), Some(&session.creator), Some(&body))
}

/// The requests that pause and resume each session.
pub fn toggles(world: &[Session]) -> Vec<[Vec<u8>; 2]> {
    let toggle = |session: &Session, what| request("POST", &session.path(what), Some(&session.creator), None);
    world.iter().map(|session| [toggle(session, "/pause"), toggle(session, "/resume")]).collect()
}

/// Each connection has sessions of its own, all paused in one round and resumed in the next.
pub fn own_toggle(toggles: &[[Vec<u8>; 2]], connections: usize, connection: usize, n: usize) -> &[u8] {
    let own = (toggles.len() - connection).div_ceil(connections);
    &toggles[connection + n % own * connections][n / own % 2]
}
