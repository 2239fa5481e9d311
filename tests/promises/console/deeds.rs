//! What the console's pages show of people, of pushes and of the realtime endpoint, and what their buttons do.

use serde_json::json;
use tandem::push::fake_expo::{FakeExpo, Fault, FaultKind};

use crate::harness::{Claims, Console, Conversation, Expo, Partner, Realtime, SECRET, eventually, now, server, text};

const OF_BEN: &str = "ExponentPushToken[abcdefghijklmnopqrstuv]";

fn has_notice(page: &str, words: &str) -> bool {
    page.split_once("role=\"status\">")
        .is_some_and(|(_, notice)| notice.split('<').next().is_some_and(|n| n.contains(words)))
}

#[tokio::test]
async fn a_person_is_shown_and_can_be_rung_signed_out_and_erased() {
    let expo = Expo::start();
    let server = server().set("push.base_url", &expo.url).start().await;
    let both = Conversation::joined(&server).await;
    let console = Console::sign_in(&server).await;
    both.ben.register_push_token(OF_BEN).await.ok();
    let quiet = json!({ "quietHours": { "start": "22:00", "end": "07:00", "timeZone": "Europe/Berlin" } });
    both.ben.patch("/auth/me/notification-preferences", quiet).await.ok();
    let of_ben = format!("/console/people?user={}", both.ben.id);
    let page = console.get(&of_ben).await.body;
    for words in
        [&both.session, &both.anna.id, "ExponentPushToken[abcd…]", "22:00–07:00, Europe/Berlin", "iOS", "in use"]
    {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!page.contains("efgh"), "no more of a push token is shown");

    let user = [("user", both.ben.id.as_str())];
    console.send("/console/test-push", &user).await;
    let rung = expo.pushes_to(OF_BEN);
    assert!(rung.iter().any(|push| push["title"] == "Test" && push.get("data").is_none()), "{rung:?}");
    assert!(has_notice(&console.get(&of_ben).await.body, "accepted"));
    let people = console.get("/console/people").await.body;
    assert!(people.contains(&both.anna.id) && people.contains(&both.ben.id), "{people}");

    let ear = Realtime::connect(&both.ben).await;
    console.send("/console/sign-out", &user).await;
    let page = console.get(&of_ben).await.body;
    assert!(has_notice(&page, "Not signed out") && !page.contains("tokens from before"), "{page}");
    console.send("/console/sign-out", &[user[0], ("sure", "yes")]).await;
    assert!(console.get(&of_ben).await.body.contains("tokens from before"), "it is remembered");
    ear.frame("DISCONNECTED", |frame| frame["action"] == 6 && frame["error"]["code"] == 40141).await;

    console.send("/console/erase", &[("user", &both.ben.id), ("confirm", "somebody else")]).await;
    assert!(has_notice(&console.get(&of_ben).await.body, "Not erased"));
    assert_eq!(both.anna.read("").await.ok()["session"]["status"], "ACTIVE");
    console.send("/console/erase", &[("user", &both.ben.id), ("confirm", &both.ben.id)]).await;
    let page = console.get(&of_ben).await.body;
    assert!(page.contains("has no account of this user") && !page.contains("ExponentPushToken"), "{page}");
    assert!(!page.contains("Preferences") && !page.contains("test-push"), "nothing to do for nobody: {page}");
    assert_eq!(both.anna.read("").await.ok()["session"]["status"], "ABANDONED");
    let changes = console.get("/console/changes").await.body;
    for deed in ["test push", "sign out", "erase"] {
        assert!(changes.contains(&format!("<td>{deed}</td>")), "{deed}: {changes}");
    }
}

#[tokio::test]
async fn an_open_breaker_is_shown_with_its_cause_and_can_be_reset() {
    let expo = FakeExpo::start("127.0.0.1:0").await.unwrap();
    let server = server().set("push.base_url", &expo.url).start().await;
    let both = Conversation::joined(&server).await;
    both.ben.register_push_token(OF_BEN).await.ok();
    let console = Console::sign_in(&server).await;
    assert!(console.get("/console/push").await.body.contains("closed"));
    expo.fault(Fault::forever(FaultKind::Unauthorized));
    both.anna.sign().await.done();
    let page = eventually("the breaker opens, and the push waits for a retry", || async {
        let page = console.get("/console/push").await.body;
        (page.contains("Reset</button>") && page.contains(&both.session)).then_some(page)
    })
    .await;
    assert!(page.contains("access to Expo") && page.contains("UNAUTHORIZED"), "{page}");
    let now = eventually("the push that waits is counted", || async {
        let now = console.get("/console").await.body;
        now.contains("Expo does not let this node in; 1 push waits").then_some(now)
    });
    assert!(!now.await.contains("All is well"));
    eventually("the session's page says what it waits for", || async {
        let page = console.session(&both.session).await;
        page.contains("Expo does not let this node in. It is tried again as soon as").then_some(())
    })
    .await;
    both.anna.say("/nudge", json!({})).await.done();
    eventually("a later push waits for the same", || async {
        let page = console.session(&both.session).await;
        page.contains("The push waits. Expo does not let this node in.").then_some(())
    })
    .await;
    expo.end_faults();
    console.send("/console/reset-breaker", &[("breaker", "access to Expo")]).await;
    let page = console.get("/console/push").await.body;
    assert!(!page.contains("Reset</button>"), "{page}");
    both.anna.say("/pause", json!({})).await.done();
    eventually("a push goes out again", || async { expo.device(OF_BEN).filter(|it| !it.notifications.is_empty()) })
        .await;
}

#[tokio::test]
async fn a_dead_device_is_listed() {
    let expo = FakeExpo::start("127.0.0.1:0").await.unwrap();
    let server = server().set("push.base_url", &expo.url).start().await;
    let both = Conversation::joined(&server).await;
    both.ben.register_push_token(OF_BEN).await.ok();
    let console = Console::sign_in(&server).await;
    expo.fault(Fault::once(FaultKind::Code { code: "DeviceNotRegistered".into() }));
    both.anna.sign().await.done();
    let page = eventually("the device is retired", || async {
        let page = console.get(&format!("/console/people?user={}", both.ben.id)).await.body;
        page.contains("retired").then_some(page)
    });
    assert!(page.await.contains("Expo says the app is not installed any more"));
    let page = console.session(&both.session).await;
    assert!(page.contains("push failed: Expo says that the app is not installed any more"), "{page}");
    both.anna.say("/pause", json!({})).await.done();
    let page = console.session(&both.session).await;
    assert!(page.contains("All registered devices are dead"), "{page}");
    let page = console.get("/console/push").await.body;
    assert!(page.contains("ExponentPushToken[abcd…]") && page.contains("1 device of 1 user, 1 of them dead"), "{page}");
}

#[tokio::test]
async fn channels_connections_and_rights_are_shown_and_a_test_message_is_published() {
    let server = server().start().await;
    let both = Conversation::joined(&server).await;
    let console = Console::sign_in(&server).await;
    let mut ear = Realtime::connect(&both.ben).await;
    ear.enter(&both.session).await;
    let page = console.get("/console/realtime").await.body;
    let presence = format!("meetwithoutfear:session:{}:presence", both.session);
    for words in [&presence, &both.ben.id, "WebSocket, JSON"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let session = console.session(&both.session).await;
    assert!(session.contains(">present</span> since"), "{session}");

    let token = text(&Realtime::token(&both.ben).await["token"]);
    let rights = console.send("/console/rights", &[("token", &token)]).await.body;
    assert!(rights.contains(&presence) && rights.contains(&both.ben.id) && !rights.contains(&token), "{rights}");
    let refused = console.send("/console/rights", &[("token", "tandem.no:such")]).await.body;
    assert!(refused.contains("Not valid") && !refused.contains("no:such"), "{refused}");
    let of_the_api = console.send("/console/rights", &[("token", &both.ben.token)]).await.body;
    assert!(of_the_api.contains("for the API, not for realtime"), "{of_the_api}");

    let mut message = [("channel", "test"), ("name", "hello"), ("data", "{\"a\":1}")];
    console.send("/console/publish", &message).await;
    assert!(has_notice(&console.get("/console/realtime").await.body, "test: published"));
    let own = format!("meetwithoutfear:session:{}", both.session);
    for (channel, data, problem) in
        [(own.as_str(), "{}", "coordinator"), ("test", "no json", "not JSON"), ("", "{}", "empty")]
    {
        (message[0].1, message[2].1) = (channel, data);
        let page = console.send("/console/publish", &message).await.body;
        assert!(page.contains("notice failure") && page.contains(data), "the form keeps what was typed: {page}");
        assert!(has_notice(&page, "not published") && has_notice(&page, problem), "{problem}: {page}");
    }
}

#[tokio::test]
async fn each_setting_is_shown_with_its_origin_and_secrets_are_not() {
    let token = "a token that nobody guesses";
    let server = server()
        .set("push.access_token", token)
        .set("app.service_token", token)
        .set("nudge.min_interval", "5h")
        .arguments(&["--log-format", "json"])
        .start()
        .await;
    let page = Console::sign_in(&server).await.get("/console/settings").await.body;
    for words in ["nudge.min_interval", "5h", "TANDEM__NUDGE__MIN_INTERVAL", "flag --log-format", "push.access_token"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(page.contains("console.enabled") && page.contains("[redacted]"), "{page}");
    assert!(!page.contains(token) && !page.contains(crate::harness::SECRET), "no secret is shown: {page}");
}

#[tokio::test]
async fn signing_out_everywhere_ends_access_to_the_api_and_is_remembered_after_a_kill() {
    let server = server().start().await;
    let anna = server.partner("Anna");
    anna.get("/auth/me").await.ok();
    let console = Console::sign_in(&server).await;
    console.send("/console/sign-out", &[("user", &anna.id), ("sure", "yes")]).await;
    let refused = anna.get("/auth/me").await.refused(401, "UNAUTHORIZED");
    assert_eq!(refused["details"]["reason"], "signed_out", "{refused}");

    let server = server.kill_and_start().await;
    let with = |claims: Claims| Partner::with_token(&server.origin, &anna.id, claims.hs256(SECRET)).get("/auth/me");
    anna.at(&server.origin).get("/auth/me").await.refused(401, "UNAUTHORIZED");
    with(Claims::of(&anna.id).without("iat")).await.refused(401, "UNAUTHORIZED");
    with(Claims::of(&anna.id).with("iat", now() + 2)).await.ok();
    server.partner("Ben").get("/auth/me").await.ok();
    let changes = Console::sign_in(&server).await.get("/console/changes").await.body;
    assert!(changes.contains("<td>sign out</td>") && changes.contains(&anna.id), "{changes}");
}

#[tokio::test]
async fn what_was_signed_out_stays_so_after_an_erasure_and_counts_without_an_account() {
    let server = server().start().await;
    let console = Console::sign_in(&server).await;
    let refused = async |partner: &Partner| {
        let refused = partner.get("/auth/me").await.refused(401, "UNAUTHORIZED");
        assert_eq!(refused["details"]["reason"], "signed_out", "{refused}");
    };
    let (anna, ben) = (server.partner("Anna"), server.partner("Ben"));
    anna.get("/auth/me").await.ok();
    console.send("/console/sign-out", &[("user", &anna.id), ("sure", "yes")]).await;
    console.send("/console/erase", &[("user", &anna.id), ("confirm", &anna.id)]).await;
    refused(&anna).await;
    console.send("/console/sign-out", &[("user", &ben.id), ("sure", "yes")]).await;
    refused(&ben).await;

    let server = server.kill_and_start().await;
    let (anna, ben) = (anna.at(&server.origin), ben.at(&server.origin));
    for partner in [&anna, &ben] {
        refused(partner).await;
        let newer = Claims::of(&partner.id).with("iat", now() + 2).hs256(SECRET);
        let newer = Partner::with_token(&server.origin, &partner.id, newer);
        newer.get("/auth/me").await.ok();
        newer.delete("/auth/me").await.ok();
        refused(partner).await;
    }
}

#[tokio::test]
async fn signing_out_says_which_tokens_of_ablys_cloud_stay_valid() {
    let setup = server().set("realtime.provider", "ably").set("realtime.ably.key", "app.key:secret");
    let server = setup.set("realtime.ably.rest_url", "http://127.0.0.1:9").start().await;
    let anna = server.partner("Anna");
    anna.get("/auth/me").await.ok();
    let console = Console::sign_in(&server).await;
    console.send("/console/sign-out", &[("user", &anna.id), ("sure", "yes")]).await;
    anna.get("/auth/me").await.refused(401, "UNAUTHORIZED");
    let told = "signed out of the API; realtime tokens of Ably&#39;s cloud stay valid until they expire";
    for page in [format!("/console/people?user={}", anna.id), "/console/changes".to_owned()] {
        let page = console.get(&page).await.body.replace("'", "&#39;");
        assert!(page.contains(told), "{page}");
    }
}

#[tokio::test]
async fn an_open_page_beyond_the_limit_waits_until_another_is_closed() {
    let server = server().start().await;
    let console = Console::sign_in(&server).await;
    let mut open = Vec::new();
    for _ in 0..32 {
        let mut page = console.live("/console").await;
        assert!(!page.until("retry: ").await.contains("30000"));
        open.push(page);
    }
    let mut too_many = console.live("/console").await;
    too_many.until("retry: 30000\n\nevent: full").await;
    too_many.ended().await;
    drop(open.pop());
    eventually("its place is free", || async {
        let heard = console.live("/console").await.until("retry: ").await;
        (!heard.contains("30000")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn sessions_that_do_not_answer_make_their_list_wait_once() {
    let server = server().start().await;
    let console = Console::sign_in(&server).await;
    let mut annas = Vec::new();
    for _ in 0..20 {
        annas.push(Conversation::invited(&server).await.anna);
    }
    for anna in annas {
        let freeze = json!({ "sessionId": anna.session, "point": "before_decide", "harm": { "freeze": "9s" } });
        let armed = server.request(reqwest::Method::POST, "/debug/failpoints").bearer(&anna.token).json(&freeze);
        assert!(armed.send().await.status < 300, "debug builds have failpoints");
        tokio::spawn(async move { anna.sign().await });
    }
    let asked = std::time::Instant::now();
    let page = console.get("/console/sessions").await;
    assert_eq!(page.status, 200);
    // One after another, they would take six seconds.
    assert!(asked.elapsed() < std::time::Duration::from_secs(3), "{:?}", asked.elapsed());
}
