//! Two partners in one session, brought as far as a test needs.

use std::ops::Deref;

use serde_json::{Value, json};

use super::{
    answer::{Answer, items, text},
    partner::Partner,
    server::Server,
};

/// One of the two, in their session.
#[derive(Clone)]
pub struct Member {
    partner: Partner,
    pub session: String,
}

impl Deref for Member {
    type Target = Partner;
    fn deref(&self) -> &Partner {
        &self.partner
    }
}

impl Member {
    pub fn new(partner: Partner, session: &str) -> Self {
        Self { partner, session: session.to_owned() }
    }

    pub fn back_at(&self, server: &Server) -> Self {
        Self { partner: self.partner.at(&server.origin), session: self.session.clone() }
    }

    /// At another node that reaches the same store.
    pub fn moved_to(&self, origin: &str) -> Self {
        Self { partner: self.partner.at(origin), session: self.session.clone() }
    }

    pub fn path(&self, rest: &str) -> String {
        format!("/sessions/{}{rest}", self.session)
    }

    #[track_caller]
    pub fn read(&self, rest: &str) -> impl Future<Output = Answer> + use<> {
        self.get(&self.path(rest))
    }

    #[track_caller]
    pub fn say(&self, rest: &str, body: Value) -> impl Future<Output = Answer> + use<> {
        self.post(&self.path(rest), body)
    }

    #[track_caller]
    pub fn press(&self, rest: &str) -> impl Future<Output = Answer> + use<> {
        self.post_nothing(&self.path(rest))
    }

    #[track_caller]
    pub fn sign(&self) -> impl Future<Output = Answer> + use<> {
        self.say("/compact/sign", json!({ "agreed": true }))
    }

    #[track_caller]
    pub fn feel_heard(&self) -> impl Future<Output = Answer> + use<> {
        self.say("/feel-heard", json!({ "confirmed": true }))
    }

    #[track_caller]
    pub fn advance(&self) -> impl Future<Output = Answer> + use<> {
        self.press("/stages/advance")
    }

    #[track_caller]
    pub fn draft(&self, content: &str) -> impl Future<Output = Answer> + use<> {
        self.say("/empathy/draft", json!({ "content": content, "readyToShare": true }))
    }

    #[track_caller]
    pub fn share_empathy(&self) -> impl Future<Output = Answer> + use<> {
        self.say("/empathy/consent", json!({ "consent": true }))
    }

    #[track_caller]
    pub fn validate(&self) -> impl Future<Output = Answer> + use<> {
        self.say("/empathy/validate", json!({ "validated": true }))
    }

    #[track_caller]
    pub fn need(&self, need: &str, category: &str) -> impl Future<Output = Answer> + use<> {
        self.say("/needs", json!({ "need": need, "category": category }))
    }

    #[track_caller]
    pub fn strategy(&self, description: &str) -> impl Future<Output = Answer> + use<> {
        self.say("/strategies", json!({ "description": description }))
    }

    #[track_caller]
    pub fn rank(&self, ids: &[String]) -> impl Future<Output = Answer> + use<> {
        self.say("/strategies/rank", json!({ "rankedIds": ids }))
    }

    #[track_caller]
    pub fn propose(&self, strategy: &str) -> impl Future<Output = Answer> + use<> {
        let agreement = json!({ "strategyId": strategy, "description": "ten minutes every evening",
            "type": "MICRO_EXPERIMENT", "duration": "two weeks", "measureOfSuccess": "we did it" });
        self.say("/agreements", agreement)
    }

    #[track_caller]
    pub fn confirm(&self, agreement: &str) -> impl Future<Output = Answer> + use<> {
        self.say(&format!("/agreements/{agreement}/confirm"), json!({ "confirmed": true }))
    }

    pub async fn seq(&self) -> u64 {
        self.read("/state").await.ok()["seq"].as_u64().expect("the resync call has seq")
    }

    /// Everything that the member may see, by the catch-up call.
    pub async fn events(&self) -> Vec<Value> {
        let mut all: Vec<Value> = Vec::new();
        loop {
            let after = all.last().map_or(0, |event| event["seq"].as_u64().expect("events have seq"));
            let page = self.read(&format!("/events?after={after}&limit=100")).await.ok();
            all.extend(items(&page["events"]));
            if page["hasMore"] != true {
                return all;
            }
        }
    }

    /// The own gates of stage 2, up to the consent.
    pub async fn share_attempt(&self) {
        self.draft("you may have felt left alone").await.done();
        self.share_empathy().await.done();
    }

    /// The own gates of stage 3, up to the consent.
    pub async fn share_needs(&self) {
        let mut ids = Vec::new();
        for (need, category) in [("to be safe", "SAFETY"), ("to be seen", "RECOGNITION")] {
            ids.push(text(&self.need(need, category).await.created()["need"]["id"]));
        }
        self.say("/needs/confirm", json!({ "needIds": ids })).await.done();
        self.say("/needs/consent", json!({ "needIds": ids })).await.done();
    }

    pub async fn confirm_common_ground(&self) -> Value {
        let shared = self.read("/common-ground").await.ok();
        let confirmations: Vec<_> = items(&shared["commonGround"])
            .iter()
            .map(|ground| json!({ "commonGroundId": ground["id"], "confirmed": true }))
            .collect();
        self.say("/common-ground/confirm", json!({ "confirmations": confirmations })).await.done()
    }
}

pub struct Conversation {
    pub session: String,
    pub invitation: String,
    /// Who invited.
    pub anna: Member,
    /// Who accepted.
    pub ben: Member,
}

impl Conversation {
    /// Anna has invited Ben, who has not answered.
    pub async fn invited(server: &Server) -> Self {
        Self::between(server.partner("Anna"), server.partner("Ben")).await
    }

    /// The first has invited the second, who has not answered.
    pub async fn between(anna: Partner, ben: Partner) -> Self {
        let created = anna.invite("Ben").await.created();
        let (session, invitation) = (text(&created["session"]["id"]), text(&created["invitationId"]));
        Self { anna: Member::new(anna, &session), ben: Member::new(ben, &session), session, invitation }
    }

    /// Both are in, at stage 0.
    pub async fn joined(server: &Server) -> Self {
        let both = Self::invited(server).await;
        both.ben.accept(&both.invitation).await.ok();
        both
    }

    /// Both are at this stage and have done nothing in it.
    pub async fn at_stage(server: &Server, stage: u8) -> Self {
        Self::joined(server).await.brought_to(stage).await
    }

    /// From stage 0 to this one.
    pub async fn brought_to(self, stage: u8) -> Self {
        self.moved(0, stage).await
    }

    /// From this stage to the next.
    pub async fn brought_from(self, stage: u8) -> Self {
        self.moved(stage, stage + 1).await
    }

    async fn moved(self, first: u8, last: u8) -> Self {
        let both = self;
        for from in first..last {
            both.satisfy(from).await;
            for member in both.members() {
                let answer = member.advance().await.done();
                assert_eq!(answer["advanced"], true, "from stage {from}: {answer}");
            }
        }
        both
    }

    /// In stage 4, with an idea of each partner and one more in a locked pool. The ids come in the viewer's order.
    pub async fn ranking(server: &Server) -> (Self, Vec<String>) {
        let both = Self::at_stage(server, 4).await;
        three_ideas(&both).await;
        for member in both.members() {
            member.press("/strategies/ready").await.done();
        }
        let ids = strategies_of(&both.anna).await;
        (both, ids)
    }

    /// Both have ranked alike; the best strategy's id.
    pub async fn overlapping(server: &Server) -> (Self, Vec<String>) {
        let (both, ids) = Self::ranking(server).await;
        for member in both.members() {
            member.rank(&ids).await.done();
        }
        (both, ids)
    }

    /// One agreement that both have confirmed.
    pub async fn agreed(server: &Server) -> (Self, String) {
        let (both, ids) = Self::overlapping(server).await;
        let agreement = text(&both.anna.propose(&ids[0]).await.created()["agreement"]["id"]);
        both.ben.confirm(&agreement).await.done();
        (both, agreement)
    }

    pub fn members(&self) -> [&Member; 2] {
        [&self.anna, &self.ben]
    }

    /// All gates of a stage, for both.
    pub async fn satisfy(&self, stage: u8) {
        match stage {
            0 => {
                for member in self.members() {
                    member.sign().await.done();
                }
            }
            1 => {
                for member in self.members() {
                    member.feel_heard().await.done();
                }
            }
            2 => {
                for member in self.members() {
                    member.share_attempt().await;
                }
                for member in self.members() {
                    member.validate().await.done();
                }
            }
            3 => {
                for member in self.members() {
                    member.share_needs().await;
                }
                for member in self.members() {
                    member.confirm_common_ground().await;
                }
            }
            _ => unreachable!("stage {stage} is left by resolving"),
        }
    }

    pub fn back_at(&self, server: &Server) -> Self {
        Self {
            session: self.session.clone(),
            invitation: self.invitation.clone(),
            anna: self.anna.back_at(server),
            ben: self.ben.back_at(server),
        }
    }
}

pub async fn three_ideas(both: &Conversation) {
    both.anna.strategy("walk together after dinner").await.created();
    both.ben.strategy("ask before giving advice").await.created();
    both.anna.strategy("plan one free evening a week").await.created();
}

/// The pool's ids in the order that the member sees.
pub async fn strategies_of(member: &Member) -> Vec<String> {
    let pool = member.read("/strategies").await.ok();
    items(&pool["strategies"]).iter().map(|strategy| text(&strategy["id"])).collect()
}
