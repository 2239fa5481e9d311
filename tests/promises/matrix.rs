//! Who may call what: every operation of the description with every kind of token, for every role, in every state of a
//! session. A new operation that no rule here covers fails.

use std::collections::BTreeSet;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{
    Answer, Claims, Conversation, Partner, Realtime, Request, SECRET, SESSION_ROUTES, Server, now, server, sign,
};

const SERVICE: &str = "the token of an AI service";
const NOBODYS_ID: &str = "csomethingthatisnotthere0";

/// Whom an operation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum For {
    Everybody,
    /// Any user, about themselves.
    Users,
    /// The members of the session in the path.
    Members,
    /// Everybody who has the invitation's link.
    Invited,
    /// For others it does not exist.
    Operator,
    Service,
}

/// The expectations. The first prefix that fits counts.
const EXPECTED: [(&str, For); 19] = [
    ("GET /api/v1/openapi.json", For::Everybody),
    ("GET /health", For::Everybody),
    ("GET /ready", For::Everybody),
    ("GET /metrics", For::Everybody),
    // Signed with the app's key instead of a token.
    ("POST /api/v1/webhooks/ably", For::Everybody),
    ("GET /api/v1/invitations/{id}", For::Everybody),
    ("POST /api/v1/invitations/{id}/", For::Invited),
    ("GET /api/v1/sessions/unread-count", For::Users),
    ("* /api/v1/sessions/{id}", For::Members),
    ("* /api/v1/sessions", For::Users),
    ("* /api/v1/operator/", For::Operator),
    ("* /api/v1/service/", For::Service),
    ("* /api/v1/auth/", For::Users),
    ("* /api/v1/me/export", For::Users),
    ("GET /api/v1/notifications/badge-count", For::Users),
    ("GET /api/v1/people", For::Users),
    ("GET /api/v1/people/{id}", For::Users),
    ("GET /api/v1/realtime/config", For::Users),
    ("PATCH /api/v1/relationships/{id}/nickname", For::Users),
];

struct Operation {
    method: Method,
    path: String,
    whom: For,
}

impl Operation {
    /// The request, for this session and invitation. `body` is sent unless it only reads.
    fn request(&self, server: &Server, session: &str, invitation: &str, user: &str, body: &Value) -> Request {
        let id = if self.path.contains("/invitations/") { invitation } else { session };
        let path = self.path.replace("{id}", id).replace("{userId}", user).replace("{stage}", "1");
        let path: Vec<_> = path.split('/').map(|part| if part.starts_with('{') { NOBODYS_ID } else { part }).collect();
        let request = server.request(self.method.clone(), &path.join("/"));
        if self.is_read() { request } else { request.json(body) }
    }

    fn is_read(&self) -> bool {
        self.method == Method::GET
    }

    /// A body that is right in form.
    fn body(&self) -> Value {
        let is_same = |path: &str| {
            let (own, other) = (self.path.trim_start_matches("/api/v1").split('/'), path.split('/'));
            own.clone().count() == other.clone().count()
                && own.zip(other).all(|(own, other)| own == other || (own.starts_with('{') && other.starts_with('{')))
        };
        let route = SESSION_ROUTES.iter().find(|route| self.method == route.method && is_same(route.path));
        route.map(|route| (route.body)()).filter(|body| !body.is_null()).unwrap_or_else(|| json!({}))
    }

    /// Whether it names something inside the session, which may not be there.
    fn names_a_part(&self) -> bool {
        self.path.matches('{').count() > 1
    }
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} for {:?}", self.method, self.path, self.whom)
    }
}

fn expected(method: &str, path: &str) -> Option<For> {
    let fits = |rule: &str| {
        let (rule_method, prefix) = rule.split_once(' ').expect("method and path");
        (rule_method == "*" || rule_method == method) && path.starts_with(prefix)
    };
    EXPECTED.iter().find(|(rule, _)| fits(rule)).map(|(_, whom)| *whom)
}

/// All operations that the server describes, each with whom it is for.
async fn operations(server: &Server) -> Vec<Operation> {
    let description = server.get("/api/v1/openapi.json").send().await.json();
    let mut operations = Vec::new();
    for (path, methods) in description["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let method = method.to_uppercase();
            let whom = expected(&method, path).unwrap_or_else(|| panic!("{method} {path}: for whom? No rule says it"));
            let documented = match &operation["security"][0] {
                Value::Null => vec![For::Users, For::Members, For::Invited],
                scheme if scheme.get("operator").is_some() => vec![For::Operator],
                scheme if scheme.get("service").is_some() => vec![For::Service],
                _ => vec![For::Everybody],
            };
            assert!(documented.contains(&whom), "{method} {path} is described as for {documented:?}");
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            operations.push(Operation { method, path: path.clone(), whom });
        }
    }
    operations
}

async fn node() -> Server {
    let node = server().set("app.service_token", SERVICE);
    ["ably_token", "create_session", "push_token", "invitation"]
        .iter()
        .fold(node, |node, limit| node.set(&format!("server.limits.{limit}"), 0))
        .start()
        .await
}

/// The token that the node writes for its operator.
fn operator(server: &Server) -> String {
    let file = std::fs::read(server.data().join("operator.json")).expect("the operator's file");
    let access: Value = serde_json::from_slice(&file).expect("JSON");
    access["token"].as_str().expect("a token").to_owned()
}

/// Tokens that open nothing, by name.
async fn wrong_tokens(partner: &Partner) -> Vec<(&'static str, String)> {
    let claims = Claims::of(&partner.id);
    // Good in all but its signature.
    let good = claims.hs256(SECRET);
    let payload = good.split('.').nth(1).expect("three parts");
    let none = format!("eyJhbGciOiJub25lIn0.{payload}.");
    let realtime = Realtime::token(partner).await;
    let realtime = realtime["token"].as_str().expect("a realtime token").to_owned();
    let hs512 = sign(&Header::new(Algorithm::HS512), &claims, &EncodingKey::from_secret(SECRET.as_bytes()));
    vec![
        ("rubbish", "rubbish".into()),
        ("another secret's", claims.hs256("another secret that is long enough for HS256")),
        ("an expired one", claims.clone().with("exp", now() - 3_600).hs256(SECRET)),
        ("one of tomorrow", claims.clone().with("nbf", now() + 86_400).hs256(SECRET)),
        ("one without an end", claims.clone().without("exp").hs256(SECRET)),
        ("one without a user", claims.without("sub").hs256(SECRET)),
        ("an unsigned one", none),
        ("another algorithm's", hs512),
        ("a realtime token", realtime),
    ]
}

#[tokio::test]
async fn only_the_right_kind_of_token_opens_an_operation() {
    let server = node().await;
    let operations = operations(&server).await;
    let both = Conversation::joined(&server).await;
    let mut tokens = wrong_tokens(&both.anna).await;
    let others = [("the operator's", operator(&server)), ("the service's", SERVICE.to_owned())];
    tokens.extend(others.into_iter().chain([("a member's", both.anna.token.clone())]));
    let before = both.anna.seq().await;
    let mut cells = 0;
    for operation in operations.iter().filter(|operation| operation.whom != For::Everybody) {
        let (own, refusal) = match operation.whom {
            For::Operator => ("the operator's", (404, "NOT_FOUND")),
            For::Service => ("the service's", (401, "UNAUTHORIZED")),
            _ => ("a member's", (401, "UNAUTHORIZED")),
        };
        let request = || operation.request(&server, &both.session, &both.invitation, &both.ben.id, &json!({}));
        request().send().await.refused(refusal.0, refusal.1);
        for (kind, token) in tokens.iter().filter(|(kind, _)| *kind != own) {
            let answer = request().bearer(token).send().await;
            let found = (answer.status, answer.json()["error"]["code"].clone());
            assert_eq!(found, (refusal.0, json!(refusal.1)), "{operation}, {kind}: {}", answer.body);
            cells += 1;
        }
    }
    assert_eq!(both.anna.seq().await, before, "nothing was done");
    println!("{cells} cells");
}

/// What a session can be like.
const STATES: [&str; 8] =
    ["invited", "joined", "in stage 2", "in stage 4", "paused", "resolved", "archived", "erased by one"];

/// A fresh session like this.
async fn in_state(server: &Server, state: &str) -> Conversation {
    let both = match state {
        "invited" => Conversation::invited(server).await,
        "joined" => Conversation::joined(server).await,
        "in stage 2" => Conversation::at_stage(server, 2).await,
        "in stage 4" => Conversation::at_stage(server, 4).await,
        "resolved" | "archived" => Conversation::agreed(server).await.0,
        _ => Conversation::at_stage(server, 1).await,
    };
    match state {
        "paused" => drop(both.anna.say("/pause", json!({ "reason": "a break" })).await.done()),
        "resolved" => drop(both.anna.press("/resolve").await.done()),
        "archived" => {
            both.anna.press("/resolve").await.done();
            both.anna.press("/archive").await.done();
        }
        "erased by one" => drop(both.ben.delete("/auth/me").await.ok()),
        _ => {}
    }
    both
}

/// A session, and a fresh one in its place once an answer may have changed it: each request meets the state.
struct InState<'a> {
    server: &'a Server,
    state: &'static str,
    /// Of a fresh session.
    status: (Value, Value),
    both: Conversation,
}

/// What the inviter sees of the session's state.
async fn status(both: &Conversation) -> (Value, Value) {
    let session = both.anna.read("").await.ok()["session"].take();
    (session["storedStatus"].clone(), session["currentStage"].clone())
}

impl<'a> InState<'a> {
    async fn new(server: &'a Server, state: &'static str) -> Self {
        let both = in_state(server, state).await;
        Self { server, state, status: status(&both).await, both }
    }

    /// The answer to the person with this token, who is another one in a fresh session.
    async fn ask(&mut self, operation: &Operation, token: impl Fn(&Conversation) -> String) -> Answer {
        let (both, state) = (&self.both, self.state);
        if !operation.is_read() {
            assert_eq!(status(both).await, self.status, "{operation} meets the state {state}");
        }
        let request = operation.request(self.server, &both.session, &both.invitation, &both.anna.id, &operation.body());
        let answer = request.bearer(&token(both)).send().await;
        let is_known = answer.status < 500 && answer.status != 401;
        assert!(is_known, "{operation}, {state}: {} {}", answer.status, answer.body);
        if !operation.is_read() && answer.status < 300 {
            self.both = in_state(self.server, state).await;
        }
        answer
    }
}

fn without_id(answer: &Answer) -> (u16, Value) {
    (answer.status, answer.json()["error"].clone())
}

type TokenOf = fn(&Conversation) -> String;

fn inviter(both: &Conversation) -> String {
    both.anna.token.clone()
}

fn invited(both: &Conversation) -> String {
    both.ben.token.clone()
}

#[tokio::test]
async fn in_every_state_strangers_find_nothing() {
    let server = node().await;
    let operations = operations(&server).await;
    let mut cells = 0;
    for state in STATES {
        let both = in_state(&server, state).await;
        let stranger = server.partner("Eve");
        let mut strangers = vec![("a stranger", &stranger)];
        match state {
            "invited" => strangers.push(("the invited one", &both.ben)),
            "erased by one" => strangers.push(("the one who has left", &both.ben)),
            _ => {}
        }
        for operation in operations.iter().filter(|operation| operation.whom == For::Members) {
            for (role, partner) in &strangers {
                for body in [operation.body(), json!({})] {
                    let ask = |session: &str| {
                        let request = operation.request(&server, session, &both.invitation, &both.anna.id, &body);
                        request.bearer(&partner.token).send()
                    };
                    let there = ask(&both.session).await;
                    there.refused(404, "NOT_FOUND");
                    let nowhere = ask("cnosuchsession00000000000").await;
                    assert_eq!(without_id(&there), without_id(&nowhere), "{operation}, {role}, {state}");
                    cells += 2;
                }
            }
        }
    }
    println!("{cells} cells");
}

async fn members_are_answered(server: &Server, operations: &[Operation], state: &'static str) -> BTreeSet<u16> {
    let mut statuses = BTreeSet::new();
    let mut session = InState::new(server, state).await;
    let mut members: Vec<(_, TokenOf)> = vec![("the inviter", inviter)];
    if !matches!(state, "invited" | "erased by one") {
        members.push(("the invited one", invited));
    }
    for operation in operations.iter().filter(|operation| operation.whom == For::Members) {
        for (role, who) in &members {
            let answer = session.ask(operation, who).await;
            // What is not there yet (an invitation that was used, an offer) may be missing; the session may not.
            let missing = answer.status == 404;
            let is_session = || answer.json()["error"]["message"] == "there is no such session among yours";
            assert!(!missing || !is_session(), "{operation}, {role}, {state}: {}", answer.body);
            assert!(!missing || operation.names_a_part() || !operation.is_read(), "{operation}, {state}");
            statuses.insert(answer.status);
        }
    }
    statuses
}

#[tokio::test]
async fn in_every_state_members_are_answered() {
    let server = node().await;
    let operations = operations(&server).await;
    let asking = STATES.map(|state| members_are_answered(&server, &operations, state));
    let statuses = futures_util::future::join_all(asking).await;
    for (state, statuses) in STATES.iter().zip(statuses) {
        assert!(statuses.contains(&200) && statuses.contains(&400), "{state}: {statuses:?}");
    }
}

/// What an answer to an invitation is in each state of its session. `role` has its link.
fn to_invitation(path: &str, role: &str, state: &str) -> u16 {
    let is_open = state == "invited";
    let is_member = role == "the invited one" && !is_open && state != "erased by one";
    let answer = path.rsplit('/').next().expect("a name");
    match (answer, role) {
        ("accept" | "decline", "the inviter") => 403,
        ("accept" | "decline", _) if is_open => 200,
        // Who is in is in.
        ("accept", _) if is_member => 200,
        ("accept" | "decline", _) => 409,
        ("acknowledge", "the inviter") => 400,
        ("acknowledge", _) => 200,
        ("resend", "the inviter") if is_open => 200,
        ("resend", "the inviter") => 409,
        ("resend", _) if is_member => 403,
        ("resend", _) => 404,
        _ => panic!("{path}: what does it answer? No rule says it"),
    }
}

#[tokio::test]
async fn an_open_invitation_is_for_everybody_with_its_link_and_a_used_one_for_nobody_else() {
    let server = node().await;
    let operations = operations(&server).await;
    let eve = server.partner("Eve");
    for state in STATES {
        let mut session = InState::new(&server, state).await;
        for operation in operations.iter().filter(|operation| operation.whom == For::Invited) {
            for role in ["the inviter", "the invited one", "a stranger"] {
                let id = session.both.session.clone();
                let answer = session.ask(operation, |both| match role {
                    "the inviter" => inviter(both),
                    "the invited one" => invited(both),
                    _ => eve.token.clone(),
                });
                let answer = answer.await;
                let right = to_invitation(&operation.path, role, state);
                assert_eq!(answer.status, right, "{operation}, {role}, {state}: {}", answer.body);
                let is_in = operation.path.ends_with("/accept") && role == "a stranger" && state == "invited";
                let seen = eve.get(&format!("/sessions/{id}")).await.status;
                assert_eq!(seen, if is_in { 200 } else { 404 }, "{operation}, {role}, {state}");
            }
        }
    }
}
