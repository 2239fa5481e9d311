//! One session, a clock moved by hand and ids that count: what the tests act on.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tandem_domain::{
    Actor, Caller, Code, Command, Context, CreateSession, DomainSettings, Event, Ids, Query, Rejection, Session, Timer,
    app::{AppMode, AppSettings, Marker},
    command::*,
    ids::UserId,
    private_text::PrivateText,
    time::Timestamp,
    view,
};

pub const ANN: &str = "ann";
pub const BEN: &str = "ben";
pub const EVE: &str = "eve";

pub const HOUR: Duration = Duration::from_secs(3600);
pub const DAY: Duration = Duration::from_secs(24 * 3600);

#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Another one that will count on alike.
    pub fn fork(&self) -> Counter {
        Counter(AtomicU64::new(self.0.load(Ordering::Relaxed)))
    }
}

impl Ids for Counter {
    fn fresh(&self) -> String {
        format!("c{:024}", self.0.fetch_add(1, Ordering::Relaxed))
    }
}

pub fn user(id: &str) -> UserId {
    id.parse().expect("test users have plain ids")
}

pub fn caller(id: &str) -> Actor {
    Actor::User(Caller { name: Some(PrivateText::new(format!("{id}'s name"))), ..Caller::nameless(user(id)) })
}

/// A request body, parsed into a command as the HTTP interface does it.
pub fn parse<R>(body: Value) -> Result<Command, Rejection>
where
    R: DeserializeOwned,
    Command: TryFrom<R, Error = Rejection>,
{
    Command::try_from(serde_json::from_value::<R>(body).expect("the body has the right types"))
}

pub struct World {
    pub session: Session,
    pub log: Vec<Event>,
    pub now: Timestamp,
    pub ids: Counter,
    pub settings: DomainSettings,
}

impl World {
    pub fn create(body: Value) -> World {
        World::create_with(body, DomainSettings::default())
    }

    pub fn create_with(body: Value, settings: DomainSettings) -> World {
        let create: CreateSession =
            serde_json::from_value::<CreateSessionRequest>(body).unwrap().try_into().expect("a good request");
        let (ids, now) = (Counter::default(), Timestamp::from_millis(1_800_000_000_000));
        let ctx = Context { by: caller(ANN), now, ids: &ids, settings: &settings };
        let log =
            Session::create("csessionundertest".parse().expect("an id"), &create, &ctx).expect("a session can be made");
        let session = Session::replay(log.clone()).expect("the first event is a creation");
        World { session, log, now, ids, settings }
    }

    /// Ann has invited Ben.
    pub fn invited() -> World {
        World::create(json!({ "inviteName": "Benny", "context": "the context of ann" }))
    }

    /// Ben has accepted.
    pub fn active() -> World {
        let mut world = World::invited();
        world.ok(BEN, Command::AcceptInvitation);
        world
    }

    /// Ann has invited Ben, who has accepted; both use the app.
    pub fn of_the_app() -> World {
        let settings =
            DomainSettings { app: AppSettings { mode: AppMode::On, ..Default::default() }, ..Default::default() };
        let mut world = World::create_with(json!({ "inviteName": "Benny", "context": "the context of ann" }), settings);
        world.post::<ConfirmInvitationRequest>(ANN, json!({}));
        world.ok(BEN, Command::AcceptInvitation);
        world
    }

    /// Both are in this stage, and have used the app since they came there.
    pub fn app_at_stage(stage: u8) -> World {
        let mut world = World::at_stage(stage);
        world.each(|world, who| world.ok(who, Command::Notice(Marker::App)));
        world
    }

    /// The client of this partner shows itself as the app from June on.
    pub fn june(&mut self, who: &str) {
        self.ok(who, Command::Notice(Marker::June));
    }

    /// The stages of Ann and Ben.
    pub fn stages(&self) -> [u64; 2] {
        [ANN, BEN].map(|who| self.get(who, Query::Progress)["myProgress"]["stage"].as_u64().expect("a stage"))
    }

    /// Both are in this stage.
    pub fn at_stage(stage: u8) -> World {
        World::active().gone_on_to(stage)
    }

    /// Both go through all that is before this stage.
    pub fn gone_on_to(self, stage: u8) -> World {
        let mut world = self;
        if stage > 0 {
            world.each(|world, who| world.ok(who, Command::SignCompact));
            world.each(World::advance);
        }
        if stage > 1 {
            world.each(|world, who| {
                let body = json!({ "confirmed": true, "feedback": format!("the feedback of {who}") });
                world.post::<FeelHeardRequest>(who, body)
            });
            world.each(World::advance);
        }
        if stage > 2 {
            world.each(|world, who| world.draft(who, &format!("{who} imagines")));
            world.each(|world, who| world.post::<ConsentEmpathyRequest>(who, json!({ "consent": true })));
            world.each(|world, who| world.post::<ValidateEmpathyRequest>(who, json!({ "validated": true })));
            world.each(World::advance);
        }
        if stage > 3 {
            world.each(|world, who| world.share_need(who, "SAFETY"));
            world.each(World::confirm_common_ground);
            world.each(World::advance);
        }
        world
    }

    /// Both have ranked, and these are the strategies, the overlap first.
    pub fn revealed() -> (World, Vec<String>) {
        let mut world = World::at_stage(4);
        let ids = vec![world.strategy(ANN, "walk"), world.strategy(BEN, "talk"), world.strategy(ANN, "cook")];
        world.each(|world, who| world.ok(who, Command::ReadyToRank));
        world.each(|world, who| world.post::<SubmitRankingRequest>(who, json!({ "rankedIds": ids })));
        (world, ids)
    }

    pub fn each(&mut self, mut act: impl FnMut(&mut World, &str) -> Value) {
        act(self, ANN);
        act(self, BEN);
    }

    /// What would be decided, without any effect.
    pub fn decide(&self, who: &str, command: &Command) -> Result<Vec<Event>, Rejection> {
        let ids = self.ids.fork();
        let ctx = Context { by: caller(who), now: self.now, ids: &ids, settings: &self.settings };
        self.session.decide(command, &ctx)
    }

    pub fn act(&mut self, who: &str, command: Command) -> Result<Value, Rejection> {
        let ctx = Context { by: caller(who), now: self.now, ids: &self.ids, settings: &self.settings };
        match self.session.decide(&command, &ctx) {
            Ok(events) => {
                events.iter().for_each(|event| self.session.apply(event));
                self.log.extend(events.iter().cloned());
                let answer = view::answer(&self.session, &events, &user(who), &command, self.now, &self.settings);
                Ok(serde_json::to_value(answer).expect("answers are JSON"))
            }
            Err(rejection) => {
                rejection.events.iter().for_each(|event| self.session.apply(event));
                self.log.extend(rejection.events.iter().cloned());
                Err(rejection)
            }
        }
    }

    pub fn ok(&mut self, who: &str, command: Command) -> Value {
        self.act(who, command).unwrap_or_else(|rejection| panic!("{who} was refused: {rejection}"))
    }

    pub fn refused(&mut self, who: &str, command: Command) -> Rejection {
        let before = self.session.clone();
        let rejection = self.act(who, command).expect_err("it was to be refused");
        if rejection.events.is_empty() {
            assert_eq!(self.session, before, "a refusal changes nothing");
        }
        rejection
    }

    pub fn code(&mut self, who: &str, command: Command) -> Code {
        self.refused(who, command).code
    }

    pub fn post<R>(&mut self, who: &str, body: Value) -> Value
    where
        R: DeserializeOwned,
        Command: TryFrom<R, Error = Rejection>,
    {
        let command = parse::<R>(body).unwrap_or_else(|rejection| panic!("{rejection}"));
        self.ok(who, command)
    }

    pub fn post_refused<R>(&mut self, who: &str, body: Value) -> Rejection
    where
        R: DeserializeOwned,
        Command: TryFrom<R, Error = Rejection>,
    {
        match parse::<R>(body) {
            Ok(command) => self.refused(who, command),
            Err(rejection) => rejection,
        }
    }

    pub fn query(&self, who: &str, query: Query) -> Result<Value, Rejection> {
        let answer = view::query(&self.session, Some(&user(who)), &query, self.now, &self.settings)?;
        Ok(serde_json::to_value(answer).expect("answers are JSON"))
    }

    pub fn get(&self, who: &str, query: Query) -> Value {
        self.query(who, query).unwrap_or_else(|rejection| panic!("{who} was refused: {rejection}"))
    }

    pub fn status(&self, who: &str) -> Value {
        self.get(who, Query::Summary)["status"].clone()
    }

    /// The names of what was announced since `seq`.
    pub fn announced_since(&self, seq: u64) -> Vec<&'static str> {
        self.log.iter().filter(|event| event.seq > seq).filter_map(Event::name).collect()
    }

    pub fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    /// Fires a timer; the number of events that came of it.
    pub fn fire(&mut self, timer: Timer) -> usize {
        let ctx = Context { by: Actor::System, now: self.now, ids: &self.ids, settings: &self.settings };
        let events = self.session.decide(&Command::Timer(timer), &ctx).expect("timers are never refused");
        events.iter().for_each(|event| self.session.apply(event));
        self.log.extend(events.iter().cloned());
        events.len()
    }

    pub fn timers(&self) -> Vec<(Timer, Timestamp)> {
        self.session.timers(&self.settings)
    }

    pub fn advance(&mut self, who: &str) -> Value {
        let answer = self.post::<AdvanceRequest>(who, json!({}));
        assert_eq!(answer["advanced"], true, "{who} could not go on: {answer}");
        answer
    }

    pub fn draft(&mut self, who: &str, content: &str) -> Value {
        self.post::<SaveEmpathyDraftRequest>(who, json!({ "content": content, "readyToShare": true }))
    }

    /// Adds, confirms and shares one need.
    pub fn share_need(&mut self, who: &str, category: &str) -> Value {
        let id = self.need(who, category);
        self.post::<ConfirmNeedsRequest>(who, json!({ "needIds": [id] }));
        self.post::<ShareNeedsRequest>(who, json!({ "needIds": [id] }))
    }

    pub fn need(&mut self, who: &str, category: &str) -> String {
        let body = json!({ "need": format!("{who} needs {category}"), "category": category });
        text(&self.post::<AddNeedRequest>(who, body)["need"]["id"])
    }

    /// Confirms all that is common ground.
    pub fn confirm_common_ground(&mut self, who: &str) -> Value {
        let common = self.get(who, Query::CommonGround);
        let items = common["commonGround"].as_array().expect("a list").iter();
        let confirmations: Vec<_> =
            items.map(|item| json!({ "commonGroundId": item["id"], "confirmed": true })).collect();
        self.post::<ConfirmCommonGroundRequest>(who, json!({ "confirmations": confirmations }))
    }

    pub fn strategy(&mut self, who: &str, description: &str) -> String {
        text(&self.post::<ProposeStrategyRequest>(who, json!({ "description": description }))["strategy"]["id"])
    }

    /// The ids of the pool, as this user sees them.
    pub fn session_strategies(&self, who: &str) -> Vec<String> {
        let pool = self.query(who, Query::Strategies).unwrap_or_default();
        pool["strategies"].as_array().into_iter().flatten().map(|strategy| text(&strategy["id"])).collect()
    }

    pub fn propose(&mut self, who: &str, strategy: Option<&str>) -> String {
        let body = json!({ "strategyId": strategy, "description": "let us try", "type": "MICRO_EXPERIMENT" });
        text(&self.post::<ProposeAgreementRequest>(who, body)["agreement"]["id"])
    }

    pub fn confirm(&mut self, who: &str, agreement: &str, confirmed: bool) -> Value {
        self.ok(who, answer_agreement(agreement, json!({ "confirmed": confirmed })))
    }
}

pub fn answer_agreement(agreement: &str, body: Value) -> Command {
    let request: ConfirmAgreementRequest = serde_json::from_value(body).expect("the right types");
    Command::try_from((agreement.parse().expect("an id"), request)).expect("a good request")
}

pub fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}
