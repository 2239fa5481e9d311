//! The script of the demo: Alex and Sam, from the invitation to the resolution.

use serde_json::{Value, json};

use super::{
    Error,
    steps::{
        Steps,
        Who::{self, Alex, Sam},
        expect, push_token,
    },
};

const BOTH: [Who; 2] = [Alex, Sam];

pub async fn play(steps: &mut Steps) -> Result<(), Error> {
    invitation(steps).await?;
    onboarding(steps).await?;
    the_witness(steps).await?;
    perspective_stretch(steps).await?;
    need_mapping(steps).await?;
    a_crash(steps).await?;
    rankings(steps).await?;
    agreement(steps).await?;
    resolution(steps).await
}

async fn invitation(steps: &mut Steps) -> Result<(), Error> {
    steps.chapter("Invitation");
    let invite = json!({ "inviteName": "Sam", "context": "the holidays" });
    let created = steps.posts(Alex, "invites Sam", "/sessions", invite).await?;
    steps.session = created.text("/session/id")?;
    let invitation = created.text("/invitationId")?;
    steps.comes(Alex, "opens the session and waits").await?;
    let phone = json!({ "pushToken": push_token(Sam), "platform": "ios" });
    steps.posts(Sam, "signs in and allows notifications", "/auth/push-token", phone).await?;
    let accept = format!("/invitations/{invitation}/accept");
    steps.posts(Sam, "accepts, and puts the phone away", &accept, Value::Null).await?;
    steps.hears(Alex, "session.joined").await.map(drop)
}

async fn onboarding(steps: &mut Steps) -> Result<(), Error> {
    steps.chapter("Stage 0: Onboarding");
    steps.does(Alex, "signs the Curiosity Compact", "compact/sign", json!({ "agreed": true })).await?;
    steps.is_pushed(Sam, "partner.signed_compact", "Partner is ready").await?;
    steps.comes(Sam, "opens the app from the notification").await?;
    steps.sees_partner_enter(Alex).await?;
    steps.does(Sam, "signs, too", "compact/sign", json!({ "agreed": true })).await?;
    steps.hears(Alex, "partner.signed_compact").await?;
    both_advance(steps, 1).await
}

async fn the_witness(steps: &mut Steps) -> Result<(), Error> {
    steps.chapter("Stage 1: The Witness");
    for who in BOTH {
        steps.does(who, "feels heard", "feel-heard", json!({ "confirmed": true })).await?;
        let heard = steps.hears(who.partner(), "partner.stage_completed").await?;
        expect("the completed stage", &json!(1), &heard["stage"])?;
    }
    both_advance(steps, 2).await
}

async fn perspective_stretch(steps: &mut Steps) -> Result<(), Error> {
    steps.chapter("Stage 2: Perspective Stretch");
    let attempts = [
        (Alex, "You might feel that your evenings are never your own."),
        (Sam, "You might feel alone with the planning, and not seen in it."),
    ];
    for (who, attempt) in attempts {
        let draft = json!({ "content": attempt, "readyToShare": true });
        steps.does(who, "writes how the other might feel", "empathy/draft", draft).await?;
        steps.does(who, "agrees to share it", "empathy/consent", json!({ "consent": true })).await?;
        steps.hears(who.partner(), "partner.empathy_shared").await?;
    }
    for (who, (_, attempt)) in BOTH.into_iter().zip(attempts.into_iter().rev()) {
        let read = steps.reads(who, "reads the other's attempt", "/empathy/partner").await?;
        expect("the attempt", &json!(attempt), &read.data["attempt"]["content"])?;
        steps.does(who, "recognises it", "empathy/validate", json!({ "validated": true })).await?;
        steps.hears(who.partner(), "partner.stage_completed").await?;
    }
    both_advance(steps, 3).await
}

async fn need_mapping(steps: &mut Steps) -> Result<(), Error> {
    steps.chapter("Stage 3: Need Mapping");
    let needs = [
        (Alex, [("Plans made together", "CONNECTION"), ("A word when things change", "RECOGNITION")]),
        (Sam, [("Evenings without a plan", "AUTONOMY"), ("Time for the two of us", "CONNECTION")]),
    ];
    for (who, needs) in needs {
        let mut ids = Vec::new();
        for (need, category) in needs {
            let body = json!({ "need": need, "category": category });
            let added = steps.does(who, &format!("needs {category}"), "needs", body).await?;
            ids.push(added.text("/need/id")?);
        }
        steps.does(who, "confirms both needs", "needs/confirm", json!({ "needIds": ids })).await?;
        steps.hears(who.partner(), "partner.needs_confirmed").await?;
        steps.does(who, "agrees to share them", "needs/consent", json!({ "needIds": ids })).await?;
        steps.hears(who.partner(), "partner.needs_shared").await?;
    }
    for who in BOTH {
        let common = steps.reads(who, "sees what both need: connection", "/common-ground").await?;
        let ids = common.ids("/commonGround")?;
        let confirmations: Vec<_> = ids.iter().map(|id| json!({ "commonGroundId": id, "confirmed": true })).collect();
        let body = json!({ "confirmations": confirmations });
        steps.does(who, "confirms the common ground", "common-ground/confirm", body).await?;
        steps.hears(who.partner(), "partner.stage_completed").await?;
    }
    both_advance(steps, 4).await
}

async fn a_crash(steps: &mut Steps) -> Result<(), Error> {
    steps.chapter("A crash in between");
    let before = steps.seq;
    steps.server_dies_and_returns().await?;
    for who in BOTH {
        steps.comes(who, "connects again").await?;
        let state = steps.reads(who, "finds everything as it was", "/state").await?;
        expect("seq after the crash", &json!(before), &state.data["seq"])?;
    }
    steps.sees_partner_enter(Alex).await
}

async fn rankings(steps: &mut Steps) -> Result<(), Error> {
    steps.chapter("Stage 4: Strategic Repair");
    let ideas = [
        (Alex, "Sunday evening: plan the week for ten minutes"),
        (Alex, "A shared calendar"),
        (Sam, "Two evenings a week without any plan"),
        (Sam, "Phones away at dinner"),
    ];
    for (who, idea) in ideas {
        steps.does(who, "puts an idea into the pool", "strategies", json!({ "description": idea })).await?;
    }
    for who in BOTH {
        steps.does(who, "is ready to rank", "strategies/ready", Value::Null).await?;
        steps.hears(who.partner(), "partner.ready_to_rank").await?;
    }
    for who in BOTH {
        let pool = steps.reads(who, "looks at the pool, in which nobody is named", "/strategies").await?;
        let mut ids = pool.ids("/strategies")?;
        // Both rank the same three, in different orders.
        ids.sort();
        ids.truncate(3);
        if who == Sam {
            ids.reverse();
        }
        steps.does(who, "ranks in private", "strategies/rank", json!({ "rankedIds": ids })).await?;
        steps.hears(who.partner(), "partner.ranking_submitted").await?;
    }
    // Sam submitted the second ranking, so Sam's answer holds the overlap already.
    steps.hears(Alex, "strategies.overlap_ready").await?;
    Ok(())
}

async fn agreement(steps: &mut Steps) -> Result<(), Error> {
    steps.leaves(Sam, "has to catch a train").await?;
    steps.sees_partner_leave(Alex).await?;
    let overlap = steps.reads(Alex, "sees what both would try", "/strategies/overlap").await?;
    let strategy = overlap.ids("/overlap")?.into_iter().next();
    let proposal = json!({
        "strategyId": strategy,
        "description": "We try it for two weeks",
        "type": "MICRO_EXPERIMENT",
        "duration": "2 weeks",
    });
    let proposed = steps.does(Alex, "proposes an agreement", "agreements", proposal).await?;
    let id = proposed.text("/agreement/id")?;
    steps.is_pushed(Sam, "agreement.proposed", "New experiment proposed").await?;

    let last_seen = steps.seq.saturating_sub(1);
    steps.comes(Sam, "opens the app from the notification").await?;
    steps.sees_partner_enter(Alex).await?;
    let missed = steps.reads(Sam, "catches up on what was missed", &format!("/events?after={last_seen}")).await?;
    let names = missed.data["events"].as_array().into_iter().flatten().filter_map(|event| event["name"].as_str());
    if !names.into_iter().any(|name| name == "agreement.proposed") {
        return Err(missing("agreement.proposed among the missed events", &missed.data["events"]));
    }

    steps.does(Sam, "asks for a moment", "pause", json!({ "reason": "Let me sleep on it" })).await?;
    steps.hears(Alex, "session.paused").await?;
    steps.does(Sam, "is back", "resume", Value::Null).await?;
    steps.hears(Alex, "session.resumed").await?;
    let confirm = format!("agreements/{id}/confirm");
    steps.does(Sam, "confirms the agreement", &confirm, json!({ "confirmed": true })).await?;
    steps.hears(Alex, "agreement.confirmed").await.map(drop)
}

async fn resolution(steps: &mut Steps) -> Result<(), Error> {
    steps.chapter("Resolution");
    steps.does(Alex, "resolves the session", "resolve", Value::Null).await?;
    steps.hears(Sam, "session.resolved").await?;
    for who in BOTH {
        let state = steps.reads(who, "looks back", "/state").await?;
        expect("the session's status", &json!("RESOLVED"), &state.data["session"]["status"])?;
    }
    Ok(())
}

async fn both_advance(steps: &mut Steps, to: u64) -> Result<(), Error> {
    for who in BOTH {
        steps.advances(who, to).await?;
    }
    Ok(())
}

fn missing(what: &str, found: &Value) -> Error {
    Error::NotAsPromised { what: what.into(), expected: "there".into(), found: found.to_string() }
}
