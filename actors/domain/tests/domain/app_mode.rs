//! How the product's own app is served: it never advances by itself, and its creator begins before the partner has
//! joined.

use serde_json::{Value, json};
use tandem_domain::{
    Code, Command, DomainSettings, Event, EventBody, Query, Session,
    app::{AppMode, AppSettings, Marker},
    command::*,
    stage::SessionStatus,
};

use crate::world::*;

fn stage(world: &World, who: &str) -> Value {
    world.get(who, Query::Progress)["myProgress"]["stage"].clone()
}

fn of_mode(mode: AppMode) -> World {
    let settings = DomainSettings { app: AppSettings { mode, ..Default::default() }, ..Default::default() };
    World::create_with(json!({ "inviteName": "Benny", "context": "the kitchen" }), settings)
}

fn is_implicit(event: &Event) -> bool {
    matches!(event.body, EventBody::Advanced { implicit: true, .. })
}

#[test]
fn the_creator_signs_invites_and_works_ahead_alone() {
    let mut world = of_mode(AppMode::On);
    assert_eq!(world.session.status(), SessionStatus::Created);
    assert_eq!(world.ok(ANN, Command::SignCompact)["signed"], true);
    assert_eq!(stage(&world, ANN), 0, "the invitation is not sent");
    let confirmed = world.post::<ConfirmInvitationRequest>(ANN, json!({ "message": "please come" }));
    assert_eq!(confirmed["advancedToStage"], 1);
    assert_eq!(confirmed["invitation"]["invitationMessage"], "please come");
    assert_eq!((world.session.status(), stage(&world, ANN)), (SessionStatus::Invited, json!(1)));
    let seq = world.session.seq();
    assert_eq!(world.post::<ConfirmInvitationRequest>(ANN, json!({}))["advancedToStage"], 1);
    assert_eq!(world.session.seq(), seq, "confirming again changes nothing");

    let heard = world.post::<FeelHeardRequest>(ANN, json!({ "confirmed": true }));
    assert_eq!((&heard["advancedToStage"], stage(&world, ANN)), (&json!(2), json!(2)));
    let told = world.log.iter().find_map(|event| match event.body {
        EventBody::StageCompleted { moves_to, .. } => moves_to,
        _ => None,
    });
    assert_eq!(told.map(|stage| stage.number()), Some(2), "the event says where to");
    world.draft(ANN, "ann imagines");
    assert_eq!(world.post::<ConsentEmpathyRequest>(ANN, json!({ "consent": true }))["consented"], true);
    let early = world.post_refused::<ValidateEmpathyRequest>(ANN, json!({ "validated": true }));
    assert_eq!(early.code, Code::NotFound);
    assert_eq!(world.get(ANN, Query::EmpathyStatus)["myAttempt"]["status"], "HELD");
    assert_eq!(stage(&world, ANN), 2, "the rest needs the partner");
}

#[test]
fn two_members_in_app_mode_reach_stage_four_without_calling_advance() {
    let mut world = World::of_the_app();
    let both = |world: &World| (stage(world, ANN), stage(world, BEN));
    world.each(|world, who| world.ok(who, Command::SignCompact));
    assert_eq!(both(&world), (json!(1), json!(1)));
    world.post::<FeelHeardRequest>(BEN, json!({ "confirmed": true }));
    assert_eq!(both(&world), (json!(1), json!(2)));
    world.post::<FeelHeardRequest>(ANN, json!({ "confirmed": true }));
    world.each(|world, who| world.draft(who, &format!("{who} imagines")));
    world.each(|world, who| world.post::<ConsentEmpathyRequest>(who, json!({ "consent": true })));
    world.post::<ValidateEmpathyRequest>(BEN, json!({ "validated": true }));
    assert_eq!(both(&world), (json!(2), json!(2)));
    let seq = world.session.seq();
    world.post::<ValidateEmpathyRequest>(ANN, json!({ "validated": true }));
    assert_eq!(both(&world), (json!(3), json!(3)), "the second verdict takes both on");
    assert_eq!(
        world.announced_since(seq),
        ["partner.validated", "partner.stage_completed", "partner.advanced", "partner.advanced"]
    );
    world.each(|world, who| world.share_need(who, "SAFETY"));
    world.each(World::confirm_common_ground);
    assert_eq!(both(&world), (json!(4), json!(4)));
    assert!(world.log.iter().all(|event| !matches!(event.body, EventBody::Advanced { implicit: false, .. })));
}

#[test]
fn each_partner_keeps_the_contract_of_its_client() {
    for (app, explicit) in [(ANN, BEN), (BEN, ANN)] {
        let mut world = World::active();
        world.ok(app, Command::Notice(Marker::App));
        world.each(|world, who| world.ok(who, Command::SignCompact));
        assert_eq!((stage(&world, app), stage(&world, explicit)), (json!(1), json!(0)), "{app} uses the app");
        assert_eq!(world.advance(explicit)["newStage"], 1);
        world.each(|world, who| world.post::<FeelHeardRequest>(who, json!({ "confirmed": true })));
        assert_eq!((stage(&world, app), stage(&world, explicit)), (json!(2), json!(1)));
        world.advance(explicit);
        world.each(|world, who| world.draft(who, &format!("{who} imagines")));
        world.each(|world, who| world.post::<ConsentEmpathyRequest>(who, json!({ "consent": true })));
        world.each(|world, who| world.post::<ValidateEmpathyRequest>(who, json!({ "validated": true })));
        assert_eq!((stage(&world, app), stage(&world, explicit)), (json!(3), json!(2)));
        assert!(world.log.iter().filter(|event| is_implicit(event)).all(|event| event.by == Some(user(app))));
    }
}

#[test]
fn an_explicit_advance_after_the_implicit_one_changes_nothing() {
    let mut world = World::of_the_app();
    world.each(|world, who| world.ok(who, Command::SignCompact));
    let seq = world.session.seq();
    for body in [json!({}), json!({ "fromStage": 0, "toStage": 1 }), json!({ "fromStage": 0 })] {
        let answer = world.post::<AdvanceRequest>(ANN, body);
        assert_eq!(
            (&answer["success"], &answer["advanced"], &answer["newStage"]),
            (&json!(true), &json!(true), &json!(1))
        );
    }
    assert_eq!(world.session.seq(), seq);
    world.post::<FeelHeardRequest>(ANN, json!({ "confirmed": true }));
    world.draft(ANN, "ann imagines");
    assert_eq!(world.post::<AdvanceRequest>(ANN, json!({}))["blockedReason"], "GATES_NOT_SATISFIED");
}

/// The app repeats every call once that it has no answer to.
#[test]
fn a_request_that_the_app_repeats_changes_nothing() {
    let mut world = of_mode(AppMode::On);
    world.ok(ANN, Command::SignCompact);
    let seq = world.session.seq();
    assert_eq!(world.ok(ANN, Command::SignCompact)["signed"], true);
    assert_eq!(world.session.seq(), seq);
    world.post::<ConfirmInvitationRequest>(ANN, json!({}));
    world.post::<FeelHeardRequest>(ANN, json!({ "confirmed": true }));
    let seq = world.session.seq();
    let again = world.post::<FeelHeardRequest>(ANN, json!({ "confirmed": true }));
    assert_eq!((&again["confirmed"], &again["advancedToStage"], world.session.seq()), (&json!(true), &json!(2), seq));
}

#[test]
fn calls_that_only_the_app_makes_mark_a_member_once() {
    for command in [
        Command::SignCompact,
        Command::ConfirmTopicFrame,
        Command::SawShareTab,
        parse::<ConfirmInvitationRequest>(json!({ "message": "please come" })).unwrap(),
        parse::<InvitationMessageRequest>(json!({ "message": "please come" })).unwrap(),
    ] {
        for (mode, expected) in [(AppMode::Auto, 1), (AppMode::Off, 0)] {
            let settings = DomainSettings { app: AppSettings { mode, ..Default::default() }, ..Default::default() };
            let mut world = World::create_with(json!({ "inviteName": "Benny", "draft": true }), settings);
            world.ok(ANN, command.clone());
            let marks = world.log.iter().filter(|event| matches!(event.body, EventBody::AppNoticed { .. })).count();
            assert_eq!(marks, expected, "{command:?} {mode:?}");
        }
    }
    let mut world = World::invited();
    world.ok(ANN, Command::SignCompact);
    world.post::<ConfirmInvitationRequest>(ANN, json!({}));
    assert!(!world.log.iter().any(|event| matches!(event.body, EventBody::AppNoticed { .. })), "nor is it the app's");
}

#[test]
fn a_client_that_is_detected_late_is_advanced_at_once() {
    let mut world = World::active();
    world.each(|world, who| world.ok(who, Command::SignCompact));
    assert_eq!(stage(&world, BEN), 0);
    world.ok(BEN, Command::Notice(Marker::June));
    assert_eq!((stage(&world, BEN), stage(&world, ANN)), (json!(1), json!(0)));
    let seq = world.session.seq();
    world.ok(BEN, Command::Notice(Marker::App));
    assert_eq!(world.session.seq(), seq, "it is known, and more");
}

#[test]
fn resuming_makes_the_advances_that_the_pause_held_back() {
    let mut world = World::active();
    world.each(|world, who| world.ok(who, Command::SignCompact));
    world.post::<PauseRequest>(ANN, json!({}));
    world.ok(BEN, Command::Notice(Marker::App));
    assert_eq!(stage(&world, BEN), 0);
    world.ok(ANN, Command::Resume);
    assert_eq!(stage(&world, BEN), 1);
}

/// The partner's own command has taken the other on: it is no news for the one who acted.
#[test]
fn an_advance_caused_by_the_partners_command_is_not_unread() {
    let mut world = World::of_the_app();
    world.each(|world, who| world.ok(who, Command::SignCompact));
    world.each(|world, who| world.post::<FeelHeardRequest>(who, json!({ "confirmed": true })));
    world.each(|world, who| world.draft(who, &format!("{who} imagines")));
    world.each(|world, who| world.post::<ConsentEmpathyRequest>(who, json!({ "consent": true })));
    world.post::<ValidateEmpathyRequest>(ANN, json!({ "validated": true }));
    world.each(|world, who| world.post::<ViewedRequest>(who, json!({})));
    world.post::<ValidateEmpathyRequest>(BEN, json!({ "validated": true }));
    assert!(!world.session.unread_for(&user(BEN)) && world.session.unread_for(&user(ANN)));
}

#[test]
fn a_creator_who_works_ahead_does_not_reveal_the_signature() {
    let mut world = of_mode(AppMode::On);
    world.ok(ANN, Command::SignCompact);
    world.post::<ConfirmInvitationRequest>(ANN, json!({}));
    world.ok(BEN, Command::AcceptInvitation);
    assert_eq!(stage(&world, ANN), 1);
    let hidden = json!({ "stage": 0, "status": "IN_PROGRESS" });
    assert_eq!(world.get(BEN, Query::Progress)["partnerProgress"], hidden);
    world.ok(BEN, Command::SignCompact);
    assert_eq!(world.get(BEN, Query::Progress)["partnerProgress"]["stage"], 1);
}

#[test]
fn only_the_creator_sees_the_texts_until_they_are_confirmed() {
    let mut world = of_mode(AppMode::Auto);
    let seen = |world: &World, who: &str| world.get(who, Query::State)["invitation"].clone();
    assert_eq!(seen(&world, ANN)["topicFrame"], "the kitchen", "the creator's own words are the topic");
    assert!(!seen(&world, ANN)["invitationMessage"].is_null(), "there is a standard text");
    world.ok(BEN, Command::AcceptInvitation);
    assert_eq!(
        (&seen(&world, BEN)["topicFrame"], &seen(&world, BEN)["invitationMessage"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(world.code(BEN, Command::ConfirmTopicFrame), Code::Forbidden);
    let confirmed = world.ok(ANN, Command::ConfirmTopicFrame);
    assert_eq!((&confirmed["topicFrame"], &confirmed["confirmedAt"]), (&json!("the kitchen"), &json!(world.now)));
    assert_eq!(seen(&world, BEN)["topicFrame"], "the kitchen");
    let late = world.post_refused::<WriteInvitationRequest>(ANN, json!({ "topicFrame": "another" }));
    assert_eq!(late.code, Code::ValidationError);

    let plain = World::create(json!({ "inviteName": "Benny" }));
    assert_eq!(seen(&plain, ANN)["topicFrame"], AppSettings::default().topic);
    let settings =
        DomainSettings { app: AppSettings { topic: String::new(), ..Default::default() }, ..Default::default() };
    let mut waiting = World::create_with(json!({ "inviteName": "Benny", "draft": true }), settings);
    assert_eq!(waiting.code(ANN, Command::ConfirmTopicFrame), Code::ValidationError);
    waiting.post::<WriteInvitationRequest>(ANN, json!({ "topicFrame": "the cellar" }));
    assert_eq!(waiting.ok(ANN, Command::ConfirmTopicFrame)["topicFrame"], "the cellar");
    assert_eq!(waiting.session.status(), SessionStatus::Invited);
    assert_eq!(stage(&waiting, ANN), 0);
}

#[test]
fn the_button_waits_for_the_service_where_the_operator_says_so() {
    let offered = |world: &World| {
        world.get(ANN, Query::Progress)["myProgress"]["gatesSatisfied"]["feelHeardCheckOffered"].clone()
    };
    assert_eq!(offered(&World::at_stage(1)), true);
    let mut world = World::at_stage(1);
    world.settings.app.offer_feel_heard = false;
    assert_eq!(offered(&world), false);
    world.ok(ANN, Command::OfferFeelHeard);
    assert_eq!(offered(&world), true);
}

#[test]
fn a_chat_item_of_any_form_is_returned() {
    let mut world = World::active();
    let seen = world.post::<ViewedRequest>(ANN, json!({ "lastSeenChatItemId": "indicator-2027 #1" }));
    assert_eq!(seen["lastSeenChatItemId"], "indicator-2027 #1");
    assert_eq!(world.get(ANN, Query::State)["session"]["lastSeenChatItemId"], "indicator-2027 #1");
    assert_eq!(world.get(BEN, Query::State)["session"]["lastSeenChatItemId"], Value::Null);
    assert_eq!(world.get(ANN, Query::State)["messages"], json!({ "messages": [], "hasMore": false }));
}

/// A commit is written as a whole, so each prefix of commits is a state that a crash may leave.
#[test]
fn a_crash_after_any_commit_leaves_no_advance_undone() {
    let mut world = World::of_the_app();
    let mut ends = vec![world.log.len()];
    let steps: [fn(&mut World, &str) -> Value; 2] = [
        |world, who| world.ok(who, Command::SignCompact),
        |world, who| world.post::<FeelHeardRequest>(who, json!({ "confirmed": true })),
    ];
    for step in steps {
        for who in [ANN, BEN] {
            step(&mut world, who);
            ends.push(world.log.len());
        }
    }
    for end in ends {
        let left = Session::replay(world.log[..end].iter().cloned()).unwrap();
        let world =
            World { session: left, log: Vec::new(), ids: world.ids.fork(), settings: world.settings.clone(), ..world };
        for who in [ANN, BEN] {
            assert_eq!(world.get(who, Query::Progress)["canAdvance"], false);
        }
    }
}

#[test]
fn times_are_right_again_after_a_clock_was_wrong_by_years() {
    let mut world = World::active();
    let right = world.now;
    world.now = right + DAY * 1_000;
    world.ok(ANN, Command::SignCompact);
    world.now = right + HOUR;
    let seq = world.session.seq();
    world.ok(BEN, Command::Notice(Marker::App));
    world.ok(BEN, Command::SignCompact);
    world.ok(ANN, Command::Notice(Marker::App));
    let later: Vec<_> = world.log.iter().filter(|event| event.seq > seq).collect();
    assert!(later.iter().any(|event| is_implicit(event)), "{later:?}");
    assert!(later.iter().all(|event| event.at == world.now), "{later:?}");
}
