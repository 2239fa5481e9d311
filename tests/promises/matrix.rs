//! Who may call what: every operation of the description with every kind of token, for every role, in every state of a
//! session. A new operation that no rule here covers fails.

use std::collections::BTreeSet;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Claims, Conversation, Partner, Realtime, Request, SECRET, Server, now, server, sign};

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
    /// Whoever has the invitation's link.
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
    /// The request, for this session and invitation.
    fn request(&self, server: &Server, session: &str, invitation: &str, user: &str) -> Request {
        let id = if self.path.contains("/invitations/") { invitation } else { session };
        let path = self.path.replace("{id}", id).replace("{userId}", user).replace("{stage}", "1");
        let path: Vec<_> = path.split('/').map(|part| if part.starts_with('{') { NOBODYS_ID } else { part }).collect();
        let request = server.request(self.method.clone(), &path.join("/"));
        if self.method == Method::GET { request } else { request.json(&json!({})) }
    }

    fn is_read(&self) -> bool {
        self.method == Method::GET
    }

    fn is_leaving(&self) -> bool {
        self.method == Method::DELETE && self.path.ends_with("/sessions/{id}")
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

/// The token that the node writes for whoever runs it.
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
        let request = || operation.request(&server, &both.session, &both.invitation, &both.ben.id);
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

/// What a session can be like, by name.
async fn in_every_state(server: &Server) -> Vec<(&'static str, Conversation)> {
    let states = [
        ("invited", Conversation::invited(server).await),
        ("joined", Conversation::joined(server).await),
        ("in stage 2", Conversation::at_stage(server, 2).await),
        ("in stage 4", Conversation::at_stage(server, 4).await),
        ("paused", Conversation::at_stage(server, 1).await),
        ("resolved", Conversation::agreed(server).await.0),
        ("archived", Conversation::agreed(server).await.0),
        ("erased by one", Conversation::at_stage(server, 1).await),
    ];
    for (name, both) in &states {
        match *name {
            "paused" => drop(both.anna.say("/pause", json!({ "reason": "a break" })).await.done()),
            "resolved" => drop(both.anna.press("/resolve").await.done()),
            "archived" => {
                both.anna.press("/resolve").await.done();
                both.anna.press("/archive").await.done();
            }
            "erased by one" => {
                both.ben.request(Method::DELETE, "/auth/me").send().await.ok();
            }
            _ => {}
        }
    }
    states.into()
}

fn without_id(answer: &Answer) -> (u16, Value) {
    (answer.status, answer.json()["error"].clone())
}

#[tokio::test]
async fn in_every_state_strangers_find_nothing_and_members_are_answered() {
    let server = node().await;
    let operations = operations(&server).await;
    let of_members = || operations.iter().filter(|operation| operation.whom == For::Members);
    let (mut cells, mut statuses) = (0, BTreeSet::new());
    for (state, both) in in_every_state(&server).await {
        let stranger = server.partner("Eve");
        let mut strangers = vec![("a stranger", &stranger)];
        let mut members = vec![("the inviter", &*both.anna)];
        match state {
            "invited" => strangers.push(("the invited one", &both.ben)),
            "erased by one" => strangers.push(("whoever has left", &both.ben)),
            _ => members.push(("the invited one", &both.ben)),
        }
        for operation in of_members() {
            for (role, partner) in &strangers {
                let ask = |session: &str| operation.request(&server, session, &both.invitation, &both.anna.id);
                let there = ask(&both.session).bearer(&partner.token).send().await;
                there.refused(404, "NOT_FOUND");
                let nowhere = ask("cnosuchsession00000000000").bearer(&partner.token).send().await;
                assert_eq!(without_id(&there), without_id(&nowhere), "{operation}, {role}, {state}");
                cells += 2;
            }
        }
        // Reads first, and last of all what a member leaves by.
        let mut of_members: Vec<_> = of_members().collect();
        of_members.sort_by_key(|operation| operation.method != Method::GET);
        let (leaving, others): (Vec<_>, Vec<_>) = of_members.into_iter().partition(|operation| operation.is_leaving());
        assert_eq!(leaving.len(), 1);
        for operation in others.into_iter().chain(leaving) {
            for (role, partner) in &members {
                let request = operation.request(&server, &both.session, &both.invitation, &both.anna.id);
                let answer = request.bearer(&partner.token).send().await;
                let is_known = answer.status < 500 && answer.status != 401;
                assert!(is_known, "{operation}, {role}, {state}: {} {}", answer.status, answer.body);
                // What is not there yet (an invitation that was used, an offer) may be missing; the session may not.
                let missing = answer.status == 404;
                let is_session = || answer.json()["error"]["message"] == "there is no such session among yours";
                assert!(!missing || !is_session(), "{operation}, {role}, {state}: {}", answer.body);
                assert!(!missing || operation.names_a_part() || !operation.is_read(), "{operation}, {state}");
                statuses.insert(answer.status);
                cells += 1;
            }
        }
    }
    println!("{cells} cells, {statuses:?}");
    assert!(statuses.contains(&200) && statuses.contains(&400), "{statuses:?}");
}
