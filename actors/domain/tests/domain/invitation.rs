use serde_json::{Value, json};
use tandem_domain::{
    Code, Command, Context, CreateSession, DomainSettings, Query, Session, Timer, command::*, stage::SessionStatus,
    view,
};

use crate::world::*;

fn public(world: &World) -> Result<Value, Code> {
    view::query(&world.session, None, &Query::PublicInvitation, world.now, &world.settings)
        .map(|answer| serde_json::to_value(answer).unwrap())
        .map_err(|rejection| rejection.code)
}

#[test]
fn a_session_begins_with_everything_it_needs() {
    let world = World::create(json!({ "inviteName": "Benny", "context": "the kitchen" }));
    let answer = view::created(&world.session, &user(ANN), world.now, &world.settings).unwrap();
    let answer = serde_json::to_value(answer).unwrap();
    assert_eq!(answer["session"]["status"], "INVITED");
    assert_eq!(answer["session"]["myProgress"]["status"], "IN_PROGRESS");
    assert_eq!(
        answer["session"]["partner"],
        json!({ "id": "", "name": "Benny", "nickname": "Benny", "joined": false })
    );
    assert_eq!(answer["invitationId"], json!(world.session.invitation_id()));
    assert!(text(&answer["invitationUrl"]).ends_with(world.session.invitation_id().as_str()));
    assert_eq!(answer["invitation"]["expiresAt"], json!(world.now + 7 * DAY));
    assert_eq!(answer["session"]["context"], "the kitchen");
}

#[test]
fn a_draft_invitation_is_hidden_until_it_is_confirmed() {
    let mut world = World::create(json!({ "inviteName": "Benny", "draft": true }));
    assert_eq!(world.session.status(), SessionStatus::Created);
    assert_eq!(public(&world), Err(Code::NotFound));
    assert_eq!(world.code(BEN, Command::AcceptInvitation), Code::NotFound);
    assert_eq!(world.code(ANN, Command::ResendInvitation), Code::Conflict);
    world.pass(30 * DAY);
    let answer = world.post::<ConfirmInvitationRequest>(ANN, json!({}));
    assert_eq!((&answer["confirmed"], &answer["invitation"]["status"]), (&json!(true), &json!("PENDING")));
    assert_eq!(answer["invitation"]["expiresAt"], json!(world.now + 7 * DAY));
    let seq = world.session.seq();
    world.post::<ConfirmInvitationRequest>(ANN, json!({}));
    assert_eq!(world.session.seq(), seq, "confirming again changes nothing");
    world.ok(BEN, Command::AcceptInvitation);
}

#[test]
fn a_stranger_with_the_id_sees_only_the_inviter() {
    let world = World::create(json!({ "inviteName": "Benny", "context": "the kitchen" }));
    let seen = public(&world).unwrap();
    for field in ["id", "sessionId", "invitedBy", "status", "createdAt", "expiresAt"] {
        assert_eq!(seen[field], seen["invitation"][field]);
        assert!(!seen[field].is_null(), "{field}");
    }
    assert_eq!(seen["invitedBy"], json!({ "id": ANN, "name": "ann's name" }));
    assert!(!seen.to_string().contains("kitchen") && !seen.to_string().contains("Benny"));
}

#[test]
fn one_person_accepts_once() {
    let mut world = World::invited();
    assert_eq!(world.code(ANN, Command::AcceptInvitation), Code::Forbidden);
    let seq = world.session.seq();
    let answer = world.ok(BEN, Command::AcceptInvitation);
    assert_eq!((&answer["session"]["status"], &answer["session"]["isInviter"]), (&json!("ACTIVE"), &json!(false)));
    assert_eq!(answer["session"]["partner"]["name"], "ann's name");
    assert_eq!(world.announced_since(seq), ["session.joined"]);
    let seq = world.session.seq();
    let again = world.ok(BEN, Command::AcceptInvitation);
    assert_eq!((&again["session"], world.session.seq()), (&answer["session"], seq), "the same, and nothing new");
    let other = world.refused(EVE, Command::AcceptInvitation);
    assert_eq!((other.code, other.details), (Code::Conflict, None));
    assert_eq!(world.code(EVE, Command::DeclineInvitation), Code::Conflict);
}

#[test]
fn only_the_invited_person_can_accept() {
    let mut world = World::create(json!({ "personId": BEN }));
    assert_eq!(world.code(EVE, Command::AcceptInvitation), Code::Forbidden);
    assert_eq!(world.code(EVE, Command::DeclineInvitation), Code::Forbidden);
    assert_eq!(world.get(ANN, Query::Summary)["partner"]["id"], BEN);
    world.ok(BEN, Command::AcceptInvitation);
}

#[test]
fn inviting_oneself_is_refused() {
    let create: CreateSession =
        serde_json::from_value::<CreateSessionRequest>(json!({ "personId": ANN })).unwrap().try_into().unwrap();
    let (ids, settings) = (Counter::default(), DomainSettings::default());
    let ctx = Context { by: caller(ANN), now: Default::default(), ids: &ids, settings: &settings };
    assert_eq!(
        Session::create("csessionundertest".parse().expect("an id"), &create, &ctx).unwrap_err().code,
        Code::ValidationError
    );
}

#[test]
fn an_invitation_expires_with_time_not_with_its_timer() {
    let mut world = World::invited();
    assert_eq!(world.timers()[0], (Timer::InvitationExpiry, world.now + 7 * DAY));
    world.pass(7 * DAY);
    assert_eq!(public(&world).unwrap()["status"], "EXPIRED");
    assert_eq!(world.code(BEN, Command::AcceptInvitation), Code::InvitationExpired);
    assert_eq!(world.fire(Timer::InvitationExpiry), 1);
    assert_eq!(world.fire(Timer::InvitationExpiry), 0);
    assert!(world.timers().iter().all(|(timer, _)| *timer != Timer::InvitationExpiry));
    let answer = world.ok(ANN, Command::ResendInvitation);
    assert_eq!((&answer["sent"], &answer["expiresAt"]), (&json!(true), &json!(world.now + 7 * DAY)));
    assert_eq!(public(&world).unwrap()["status"], "PENDING");
    world.ok(BEN, Command::AcceptInvitation);
}

#[test]
fn an_invitation_is_sent_again_three_times_a_day_apart() {
    let mut world = World::invited();
    // Ben has not joined: to him it is no different from an invitation that does not exist.
    assert_eq!(world.code(BEN, Command::ResendInvitation), Code::NotFound);
    world.ok(ANN, Command::ResendInvitation);
    let early = world.refused(ANN, Command::ResendInvitation);
    assert_eq!((early.code, early.retry_after), (Code::RateLimited, Some(DAY)));
    for _ in 0..2 {
        world.pass(DAY);
        world.ok(ANN, Command::ResendInvitation);
    }
    world.pass(DAY);
    assert_eq!(world.code(ANN, Command::ResendInvitation), Code::RateLimited);
    world.ok(BEN, Command::AcceptInvitation);
    world.pass(DAY);
    assert_eq!(world.code(ANN, Command::ResendInvitation), Code::Conflict);
}

#[test]
fn a_declined_session_is_over() {
    let mut world = World::invited();
    assert_eq!(world.code(ANN, Command::DeclineInvitation), Code::Forbidden);
    let seq = world.session.seq();
    let answer = world.post::<DeclineInvitationRequest>(BEN, json!({ "reason": "not now" }));
    assert_eq!((&answer["declined"], &answer["declinedAt"]), (&json!(true), &json!(world.now)));
    assert_eq!(world.announced_since(seq), ["invitation.declined"]);
    assert_eq!(world.session.status(), SessionStatus::Abandoned);
    assert_eq!(public(&world).unwrap()["status"], "DECLINED");
    assert_eq!(world.code(BEN, Command::AcceptInvitation), Code::Conflict);
    assert!(!world.session.is_member(&user(BEN)) && world.session.unread_for(&user(ANN)));
}

#[test]
fn a_withdrawn_invitation_has_expired() {
    let mut world = World::invited();
    world.ok(ANN, Command::Withdraw);
    assert_eq!(public(&world).unwrap()["status"], "EXPIRED");
    assert_eq!(world.code(BEN, Command::AcceptInvitation), Code::InvitationExpired);
}
