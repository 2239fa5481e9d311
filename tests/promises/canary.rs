//! Distinctive words in every free text of one partner, and a search for them in everything that leaves the server.

use serde_json::json;

use crate::{
    console::pages,
    harness::{Console, Conversation, Expo, GET_ROUTES, Member, Realtime, Server, fill, server, strategies_of, text},
    traces::Collector,
};

const OF_BEN: &str = "ExponentPushToken[of-ben]";

/// A text that stands nowhere else. The field's name says where it was planted.
pub fn planted(field: &str) -> String {
    format!("zq{field}qz")
}

/// Planted so far.
#[derive(Default)]
pub struct Garden {
    /// What the partner may see at some time, by consent or because it was written for both.
    pub shown: Vec<String>,
    /// What nobody but the author ever sees.
    pub private: Vec<String>,
}

impl Garden {
    fn shown(&mut self, field: &str) -> String {
        self.shown.push(planted(field));
        planted(field)
    }

    fn private(&mut self, field: &str) -> String {
        self.private.push(planted(field));
        planted(field)
    }
}

#[track_caller]
fn absent<'a>(words: impl IntoIterator<Item = &'a String>, place: &str, found: &str) {
    for word in words {
        if let Some(at) = found.find(word.as_str()) {
            let around: String = found[..at].chars().rev().take(120).collect::<Vec<_>>().into_iter().rev().collect();
            panic!("{word} in {place}, after …{around}");
        }
    }
}

/// All that a member can read.
async fn view(of: &Member, invitation: &str) -> String {
    let mut all = String::new();
    for route in &GET_ROUTES {
        all += &of.get(&fill(route.path, &of.session, invitation)).await.body;
    }
    for path in ["/sessions", "/sessions/unread-count", "/auth/me", &format!("/invitations/{invitation}")] {
        all += &of.get(path).await.body;
    }
    all
}

/// Anna plants a word in each of her texts. Ben's texts are other ones.
pub struct Scene<'a> {
    expo: &'a Expo,
    pub both: Conversation,
    pub garden: Garden,
    pub ear: Realtime,
    /// What Ben's own commands were answered.
    answers: String,
}

impl<'a> Scene<'a> {
    pub async fn start(server: &Server, expo: &'a Expo) -> Self {
        let mut garden = Garden::default();
        let (anna, ben) = (server.partner("Anna").with_keys(), server.partner("Ben"));
        anna.register_push_token("ExponentPushToken[zqtokenqz]").await.ok();
        garden.private.push("zqtokenqz".into());
        garden.private.push(format!("{}@example.org", anna.id));
        ben.register_push_token(OF_BEN).await.ok();
        let invite = json!({ "inviteName": garden.private("inviteName"), "context": garden.private("context") });
        let created = anna.post("/sessions", invite).await.created();
        let (session, invitation) = (text(&created["session"]["id"]), text(&created["invitationId"]));
        let accepted = ben.accept(&invitation).await;
        accepted.ok();
        // On Ben's own connection everything would count as seen, and no push would leave.
        let mut ear = Realtime::connect(&anna).await;
        ear.attach(&session).await;
        let both =
            Conversation { anna: Member::new(anna, &session), ben: Member::new(ben, &session), session, invitation };
        Self { expo, both, garden, ear, answers: accepted.body }
    }

    /// Nothing private has left, and what is to be shown later has not been shown yet.
    async fn look(&self, not_yet: &[String]) {
        let seen = view(&self.both.ben, &self.both.invitation).await;
        absent(self.garden.private.iter().chain(not_yet), "what Ben can read", &seen);
        absent(self.garden.private.iter().chain(not_yet), "an answer to Ben", &self.answers);
    }

    /// Before Ben reads, and so has seen it.
    async fn pushed(&self, event: &str) {
        self.expo.push(OF_BEN, event).await;
    }

    async fn ben_does(&mut self, path: &str, body: serde_json::Value) -> serde_json::Value {
        let answer = self.both.ben.say(path, body).await;
        let data = answer.done();
        self.answers += &answer.body;
        data
    }

    pub async fn stages_0_to_2(&mut self) {
        let (anna, ben) = (self.both.anna.clone(), self.both.ben.clone());
        self.both.satisfy(0).await;
        anna.advance().await.done();
        ben.advance().await.done();
        let feedback = self.garden.private("heardFeedback");
        anna.say("/feel-heard", json!({ "confirmed": true, "feedback": feedback })).await.done();
        ben.feel_heard().await.done();
        anna.advance().await.done();
        ben.advance().await.done();
        let (draft, attempt) = (self.garden.private("draft"), self.garden.shown("attempt"));
        let saved = anna.draft(&draft).await.done();
        self.look(&[]).await;
        let consent = json!({ "draftId": saved["draftId"], "finalContent": attempt });
        anna.say("/empathy/consent", consent).await.done();
        self.pushed("partner.empathy_shared").await;
        self.look(std::slice::from_ref(&attempt)).await;
        ben.draft("of ben").await.done();
        self.ben_does("/empathy/consent", json!({ "consent": true })).await;
        assert!(view(&ben, &self.both.invitation).await.contains(&attempt), "shared by consent");
        let verdict =
            json!({ "validated": false, "feedback": self.garden.private("verdict"), "consentToShareFeedback": false });
        anna.say("/empathy/validate", verdict).await.done();
        self.look(&[]).await;
        ben.draft("of ben, revised").await.done();
        ben.share_empathy().await.done();
        anna.validate().await.done();
        self.ben_does("/empathy/validate", json!({ "validated": true })).await;
        anna.advance().await.done();
        ben.advance().await.done();
    }

    pub async fn stage_3(&mut self) {
        let (anna, ben) = (self.both.anna.clone(), self.both.ben.clone());
        let mut ids = Vec::new();
        let chosen = self.garden.shown("need");
        let about = self.garden.shown("needDescription");
        let body = json!({ "need": chosen, "category": "SAFETY", "description": about });
        ids.push(anna.say("/needs", body).await.created()["need"]["id"].clone());
        anna.say("/needs/confirm", json!({ "needIds": ids })).await.done();
        let kept = json!({ "need": self.garden.private("keptNeed"), "category": "MEANING",
            "description": self.garden.private("keptDescription"), "evidence": [self.garden.private("evidence")] });
        let captured = anna.say("/needs/capture", json!({ "needs": [kept] })).await.created();
        ids.push(captured["needs"][1]["id"].clone());
        self.look(std::slice::from_ref(&chosen)).await;
        anna.say("/needs/confirm", json!({ "needIds": ids })).await.done();
        anna.say("/needs/consent", json!({ "needIds": [ids[0]] })).await.done();
        self.pushed("partner.needs_shared").await;
        self.look(&[chosen.clone(), about]).await;
        ben.share_needs().await;
        assert!(view(&ben, &self.both.invitation).await.contains(&chosen), "shared by consent");
        for member in [&anna, &ben] {
            member.confirm_common_ground().await;
        }
        self.look(&[]).await;
        anna.advance().await.done();
        ben.advance().await.done();
    }

    pub async fn stage_4(&mut self) {
        let (anna, ben) = (self.both.anna.clone(), self.both.ben.clone());
        let garden = &mut self.garden;
        let idea = json!({ "description": garden.shown("strategy"), "needsAddressed": [garden.shown("addressed")],
            "duration": garden.shown("strategyDuration"), "measureOfSuccess": garden.shown("strategyMeasure") });
        let pause = json!({ "reason": garden.shown("pauseReason") });
        let nudge = json!({ "message": garden.private("nudgeMessage") });
        let agreement = json!({ "description": garden.shown("agreement"), "type": "HYBRID",
            "duration": garden.shown("agreementDuration"), "measureOfSuccess": garden.shown("agreementMeasure") });
        let modification = json!({ "confirmed": false, "modification": garden.shown("modification") });
        anna.say("/strategies", idea).await.created();
        ben.strategy("of ben").await.created();
        anna.press("/strategies/ready").await.done();
        self.ben_does("/strategies/ready", json!({})).await;
        let ids = strategies_of(&anna).await;
        anna.rank(&ids).await.done();
        self.ben_does("/strategies/rank", json!({ "rankedIds": ids })).await;
        anna.say("/pause", pause).await.done();
        self.pushed("session.paused").await;
        self.ben_does("/resume", json!({})).await;
        anna.say("/nudge", nudge).await.done();
        self.pushed("partner.nudged").await;
        let proposed = ben.propose(&ids[0]).await.created();
        let path = format!("/agreements/{}/confirm", text(&proposed["agreement"]["id"]));
        anna.say(&path, modification).await.done();
        self.pushed("agreement.declined").await;
        let mut agreement = agreement;
        agreement["strategyId"] = json!(ids[0]);
        let id = text(&anna.say("/agreements", agreement).await.created()["agreement"]["id"]);
        self.pushed("agreement.proposed").await;
        self.ben_does(&format!("/agreements/{id}/confirm"), json!({ "confirmed": true })).await;
        self.look(&[]).await;
        // Refusals are answers too.
        self.answers += &ben.say("/pause", json!({ "reason": 5 })).await.body;
        self.ben_does("/resolve", json!({})).await;
        self.look(&[]).await;
    }
}

#[tokio::test]
async fn private_texts_never_leave_the_node() {
    let (expo, collector) = (Expo::start(), Collector::start());
    // Everything is both pushed and published: the most that can leave.
    let server = server()
        // Each of many pushes in a row is looked at.
        .set("push.spacing", "0s")
        .set("push.spacing_later", "0s")
        .set("push.user_rate", 0)
        .set("push.base_url", &expo.url)
        .set("routing.when_absent", "push_and_publish")
        .set("telemetry.otlp_endpoint", &collector.url)
        .arguments(&["--log-format", "json"])
        .environment("RUST_LOG", "trace")
        .start()
        .await;
    let mut scene = Scene::start(&server, &expo).await;
    scene.stages_0_to_2().await;
    scene.stage_3().await;
    scene.stage_4().await;
    let (garden, session) = (&scene.garden, &scene.both.session);
    scene.ear.message(session, "session.resumed").await;
    let everything: Vec<_> = garden.private.iter().chain(&garden.shown).cloned().collect();
    let in_pushes: Vec<_> = everything.iter().filter(|word| *word != "zqtokenqz").cloned().collect();
    absent(&in_pushes, "a push", &json!(expo.pushes()).to_string());
    let frames = json!(scene.ear.frames()).to_string();
    assert!(frames.contains(&planted("pauseReason")), "the one text that goes over the channel");
    let in_frames: Vec<_> = everything.iter().filter(|word| **word != planted("pauseReason")).cloned().collect();
    absent(&in_frames, "a frame", &frames);
    absent(&everything, "the metrics", &server.get("/metrics").send().await.body);
    let console = Console::sign_in(&server).await;
    for member in scene.both.members() {
        for path in pages(session, &member.id) {
            let page = console.get(&path).await;
            assert_eq!(page.status, 200, "{path}: {}", page.body);
            absent(&everything, &path, &page.body);
        }
    }
    let logs = server.logs();
    assert!(logs.lines().count() > 20, "there is a log to search");
    absent(&everything, "the log", &logs);
    for member in scene.both.members() {
        absent([&member.token], "the log", &logs);
        absent([&member.token], "the frames", &frames);
    }
    let tokens: Vec<_> = scene.both.members().into_iter().map(|member| member.token.clone()).collect();
    server.stop().await;
    let traces = String::from_utf8_lossy(&collector.bytes()).into_owned();
    assert!(traces.matches("push attempt").count() > 3, "there are traces to search");
    absent(everything.iter().chain(&tokens), "the traces", &traces);
}

#[tokio::test]
async fn the_reason_of_a_decline_stays_out_of_logs_and_channels() {
    let server = server().environment("RUST_LOG", "trace").start().await;
    let both = Conversation::invited(&server).await;
    let mut ear = Realtime::connect(&both.anna).await;
    ear.attach(&both.session).await;
    let path = format!("/invitations/{}/decline", both.invitation);
    both.ben.post(&path, json!({ "reason": planted("declineReason") })).await.ok();
    ear.message(&both.session, "invitation.declined").await;
    absent([&planted("declineReason")], "a frame", &json!(ear.frames()).to_string());
    absent([&planted("declineReason")], "the log", &server.logs());
}
