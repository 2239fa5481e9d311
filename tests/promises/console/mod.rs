//! The operator's pages: who may see them, what they show, and what their buttons do.

mod deeds;

use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, Console, Conversation, Expo, Member, Server, eventually, run, server};

/// Every page, for a session and a user.
pub fn pages(session: &str, user: &str) -> Vec<String> {
    let of_all = ["", "/sessions", "/people", "/realtime", "/push", "/settings", "/changes"];
    let of_one = [
        format!("/console/sessions?find={user}"),
        format!("/console/session?id={session}"),
        format!("/console/people?user={user}"),
    ];
    of_all.into_iter().map(|path| format!("/console{path}")).chain(of_one).collect()
}

const NOTHING_FOUND: &str = "No id of a session or of a user contains this";

/// Every form's address.
const FORMS: [&str; 8] = [
    "/console/leave",
    "/console/release",
    "/console/test-push",
    "/console/sign-out",
    "/console/erase",
    "/console/reset-breaker",
    "/console/publish",
    "/console/rights",
];

async fn quarantined(server: &Server, member: &Member) {
    let body = json!({ "sessionId": member.session, "point": "before_decide", "harm": "panic", "times": 100 });
    let request = server.request(Method::POST, "/debug/failpoints").bearer(&member.token);
    assert_eq!(request.json(&body).send().await.status, 204, "debug builds have failpoints");
    eventually("the quarantine", || async {
        let answer = member.press("/viewed").await;
        (answer.status == 503 && answer.body.contains("quarantine")).then_some(())
    })
    .await;
}

fn is_sign_in_page(answer: &Answer) -> bool {
    answer.status == 401 && answer.body.contains("tandem console")
}

#[tokio::test]
async fn a_node_with_tls_sets_a_cookie_that_never_leaves_tls() {
    let pem = |name: &str| format!("{}/tests/promises/harness/tls/{name}.pem", env!("CARGO_MANIFEST_DIR"));
    let server = server().set("server.tls.certificate", pem("one")).set("server.tls.key", pem("one.key")).start().await;
    let client = tandem::tls::http_client().no_proxy().tls_danger_accept_invalid_certs(true).build().expect("a client");
    let link = Console::link(&server).await;
    let entered = client.get(&link).send().await.expect("an answer");
    let cookie = entered.headers()["set-cookie"].to_str().expect("text");
    assert!(link.starts_with("https://") && cookie.ends_with("; Secure"), "{link}: {cookie}");
    let page = client.get(&server.origin).send().await.expect("an answer").text().await.expect("a page");
    assert!(page.contains(&server.origin), "its shell lines go to the address that was opened");
}

#[tokio::test]
async fn a_link_signs_in_once_and_a_cookie_keeps_it() {
    let server = server().start().await;
    let link = Console::link(&server).await;
    assert!(link.starts_with(&server.origin), "{link}");
    let path = link.trim_start_matches(&server.origin);
    let entered = server.get(path).send().await;
    assert_eq!(entered.status, 200, "{}", entered.body);
    let cookie = entered.header("set-cookie").expect("a cookie").to_owned();
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/console"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let again = server.get(path).send().await;
    assert!(again.status == 401 && again.header("set-cookie").is_none(), "the link is used up: {}", again.status);
    let console = Console::with(&server, cookie.split(';').next().expect("a pair"));
    let now = console.get("/console").await;
    assert!(now.status == 200 && now.body.contains("All is well"), "{}", now.body);
    console.send("/console/leave", &[]).await;
    assert!(is_sign_in_page(&console.get("/console").await), "signed out");
    server.logged(&["signed in to the console", "kim"]).await;
    let logs = server.logs();
    let ticket = path.rsplit('=').next().expect("a ticket");
    assert!(!logs.contains(ticket) && !logs.contains(&console.cookie), "no ticket and no cookie in the log");
}

#[tokio::test]
async fn a_partners_token_does_not_open_the_console() {
    let server = server().start().await;
    let both = Conversation::joined(&server).await;
    let (token, session) = (&both.anna.token, &both.session);
    for path in pages(session, &both.anna.id) {
        let cookie = format!("tandem_console={token}");
        for request in [
            server.get(&path),
            server.get(&path).bearer(token),
            server.get(&path).header("cookie", &cookie),
            server.get(&path).header("cookie", &cookie).header("accept", "text/event-stream"),
        ] {
            let answer = request.send().await;
            assert!(is_sign_in_page(&answer) && !answer.body.contains("IN_PROGRESS"), "{path}: {}", answer.body);
        }
    }
    let link = server.request(Method::POST, "/console/link").bearer(token).json(&json!({ "name": "anna" }));
    assert_eq!(link.send().await.status, 404);
    for path in FORMS {
        let form = "key=x&session=x&user=x&channel=x&name=x&data=x&token=x&confirm=x&breaker=x&device=x";
        let request = server.request(Method::POST, path).bearer(token);
        let answer = request.header("content-type", "application/x-www-form-urlencoded").body(form).send().await;
        assert!(is_sign_in_page(&answer), "{path}: {} {}", answer.status, answer.body);
    }
}

#[tokio::test]
async fn pages_are_closed_to_other_sites_and_forms_carry_a_key() {
    let server = server().start().await;
    let both = Conversation::joined(&server).await;
    let console = Console::sign_in(&server).await;
    for path in pages(&both.session, &both.anna.id) {
        let page = console.get(&path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.body);
        let policy = page.header("content-security-policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(page.header("cache-control"), Some("no-store"));
        assert_eq!(page.header("x-frame-options"), Some("DENY"));
        assert!(!page.body.contains("style=\"") && !page.body.contains("onclick"), "{path} needs no exception");
    }
    for path in FORMS {
        let fields = "key=wrong&session=x&user=x&channel=x&name=x&data=x&token=x&confirm=x&breaker=x&device=x";
        let answer = console.post(path, fields).await;
        assert_eq!(answer.status, 403, "{path}: {}", answer.body);
    }
    assert_eq!(console.get("/console").await.status, 200, "still signed in");
    assert_eq!(console.get("/console/nothing").await.status, 404);
}

#[tokio::test]
async fn a_node_without_a_console_has_no_such_pages() {
    let server = server().set("console.enabled", false).start().await;
    for path in ["/console", "/console/enter?ticket=x", "/console/style.css"] {
        server.get(path).send().await.refused(404, "NOT_FOUND");
    }
    let data = server.data().to_str().expect("a path").to_owned();
    let refused = run(&["console", "--data", &data], &[]).await;
    assert!(refused.refused_with_one_line().contains("console.enabled"), "{refused:?}");
}

#[tokio::test]
async fn a_session_shows_both_partners_and_why_each_heard_of_an_event() {
    let expo = Expo::start();
    let server = server().set("push.base_url", &expo.url).start().await;
    let both = Conversation::joined(&server).await;
    let console = Console::sign_in(&server).await;
    both.anna.sign().await.done();
    let page = console.session(&both.session).await;
    for words in ["ACTIVE", "0 · Onboarding", "compactSigned", &both.anna.id, &both.ben.id, "absent", "did it"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    for words in ["no device to reach", "no device of theirs can be reached", "No device is registered now."] {
        assert!(page.contains(words), "{words}: {page}");
    }

    both.ben.register_push_token("ExponentPushToken[of-ben-and-nobody-else]").await.ok();
    both.anna.say("/pause", json!({})).await.done();
    let page = eventually("the ticket", || async {
        let page = console.session(&both.session).await;
        page.contains("accepted, ticket").then_some(page)
    })
    .await;
    assert!(page.contains("the partner was absent and has a device") && page.contains("sent to 1 device"), "{page}");
    assert!(!page.contains("of-ben-and"), "no push token on a page");

    let found = console.get(&format!("/console/sessions?find={}", both.anna.id)).await;
    assert!(found.body.contains(&both.session), "{}", found.body);
    for id in [&both.session, &both.invitation] {
        let found = console.get(&format!("/console/sessions?find={id}")).await;
        assert_eq!(found.header("location"), Some(&*format!("/console/session?id={}", both.session)), "{}", found.body);
    }
    // A part of an id is enough, and a restart hides nothing.
    let server = server.kill_and_start().await;
    let console = Console::sign_in(&server).await;
    for (find, found) in [(&both.session[3..12], &both.session), (&both.ben.id[1..], &both.ben.id), ("", &both.session)]
    {
        let page = console.get(&format!("/console/sessions?find={find}")).await.body;
        // The page lists all below what was found.
        assert!(page.contains(found) && !page.contains(NOTHING_FOUND), "{find}: {page}");
    }
    let page = console.get("/console/sessions?find=nobody-at-all").await.body;
    assert!(page.contains(NOTHING_FOUND), "{page}");
}

#[tokio::test]
async fn a_quarantined_session_is_named_with_its_reason_and_can_be_released() {
    let server = server().start().await;
    let both = Conversation::at_stage(&server, 1).await;
    let console = Console::sign_in(&server).await;
    quarantined(&server, &both.anna).await;
    let now = console.get("/console").await;
    assert!(now.body.contains("1 session in quarantine"), "{}", now.body);
    assert!(console.get("/console/sessions").await.body.contains(&both.session));
    let page = console.session(&both.session).await;
    for words in ["In quarantine since", "6 crashes", "panicked", "Release"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let disarm = json!({ "sessionId": both.session, "point": "before_decide", "harm": "panic", "times": 1 });
    let request = server.request(Method::POST, "/debug/failpoints").bearer(&both.anna.token);
    assert_eq!(request.json(&disarm).send().await.status, 204);
    let done = console.send("/console/release", &[("session", &both.session)]).await;
    assert_eq!(done.header("location"), Some(&*format!("/console/session?id={}", both.session)), "{}", done.body);
    let page = console.session(&both.session).await;
    assert!(page.contains("released, it works again") && !page.contains("In quarantine since"), "{page}");
    eventually("the session works again", || async { (both.anna.feel_heard().await.status == 200).then_some(()) })
        .await;
    let changes = console.get("/console/changes").await.body;
    for words in ["kim", "release from quarantine", &both.session, "released, it works again"] {
        assert!(changes.contains(words), "{words}: {changes}");
    }
    server.logged(&["changed by the console", "kim"]).await;
}

#[tokio::test]
async fn an_open_page_is_updated_after_changes() {
    let server = server().start().await;
    let both = Conversation::joined(&server).await;
    let console = Console::sign_in(&server).await;
    let mut live = console.live(&format!("/console/session?id={}", both.session)).await;
    let first = live.until("<section id=\"timeline\"").await;
    assert!(!first.contains("session.paused"), "{first}");
    both.anna.say("/pause", json!({})).await.done();
    live.until("session.paused").await;
    console.send("/console/leave", &[]).await;
    live.ended().await;
}
