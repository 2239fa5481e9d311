//! The script of the demo: Alex and Sam, from the invitation to the resolution.

use serde_json::{Value, json};

use super::{
    Error,
    stage::{
        Stage,
        Who::{self, Alex, Sam},
        expect, push_token,
    },
};

const BOTH: [Who; 2] = [Alex, Sam];

pub async fn play(stage: &mut Stage) -> Result<(), Error> {
    invitation(stage).await?;
    onboarding(stage).await?;
    the_witness(stage).await?;
    perspective_stretch(stage).await?;
    need_mapping(stage).await?;
    a_crash(stage).await?;
    rankings(stage).await?;
    agreement(stage).await?;
    resolution(stage).await
}

async fn invitation(stage: &mut Stage) -> Result<(), Error> {
    stage.chapter("Invitation");
    let invite = json!({ "inviteName": "Sam", "context": "the holidays" });
    let created = stage.posts(Alex, "invites Sam", "/sessions", invite).await?;
    stage.session = created.text("/session/id")?;
    let invitation = created.text("/invitationId")?;
    stage.comes(Alex, "opens the session and waits").await?;
    let phone = json!({ "pushToken": push_token(Sam), "platform": "ios" });
    stage.posts(Sam, "signs in and allows notifications", "/auth/push-token", phone).await?;
    let accept = format!("/invitations/{invitation}/accept");
    stage.posts(Sam, "accepts, and puts the phone away", &accept, Value::Null).await?;
    stage.hears(Alex, "session.joined").await.map(drop)
}

async fn onboarding(stage: &mut Stage) -> Result<(), Error> {
    stage.chapter("Stage 0: Onboarding");
    stage.does(Alex, "signs the Curiosity Compact", "compact/sign", json!({ "agreed": true })).await?;
    stage.is_pushed(Sam, "partner.signed_compact", "Partner is ready").await?;
    stage.comes(Sam, "opens the app from the notification").await?;
    stage.sees(Alex, true).await?;
    stage.does(Sam, "signs, too", "compact/sign", json!({ "agreed": true })).await?;
    stage.hears(Alex, "partner.signed_compact").await?;
    both_advance(stage, 1).await
}

async fn the_witness(stage: &mut Stage) -> Result<(), Error> {
    stage.chapter("Stage 1: The Witness");
    for who in BOTH {
        stage.does(who, "feels heard", "feel-heard", json!({ "confirmed": true })).await?;
        let heard = stage.hears(who.partner(), "partner.stage_completed").await?;
        expect("the completed stage", &json!(1), &heard["stage"])?;
    }
    both_advance(stage, 2).await
}

async fn perspective_stretch(stage: &mut Stage) -> Result<(), Error> {
    stage.chapter("Stage 2: Perspective Stretch");
    let attempts = [
        (Alex, "You might feel that your evenings are never your own."),
        (Sam, "You might feel alone with the planning, and not seen in it."),
    ];
    for (who, attempt) in attempts {
        let draft = json!({ "content": attempt, "readyToShare": true });
        stage.does(who, "writes how the other might feel", "empathy/draft", draft).await?;
        stage.does(who, "agrees to share it", "empathy/consent", json!({ "consent": true })).await?;
        stage.hears(who.partner(), "partner.empathy_shared").await?;
    }
    for (who, (_, attempt)) in BOTH.into_iter().zip(attempts.into_iter().rev()) {
        let read = stage.reads(who, "reads the other's attempt", "/empathy/partner").await?;
        expect("the attempt", &json!(attempt), &read.data["attempt"]["content"])?;
        stage.does(who, "recognises it", "empathy/validate", json!({ "validated": true })).await?;
        stage.hears(who.partner(), "partner.stage_completed").await?;
    }
    both_advance(stage, 3).await
}

async fn need_mapping(stage: &mut Stage) -> Result<(), Error> {
    stage.chapter("Stage 3: Need Mapping");
    let needs = [
        (Alex, [("Plans made together", "CONNECTION"), ("A word when things change", "RECOGNITION")]),
        (Sam, [("Evenings without a plan", "AUTONOMY"), ("Time for the two of us", "CONNECTION")]),
    ];
    for (who, needs) in needs {
        let mut ids = Vec::new();
        for (need, category) in needs {
            let body = json!({ "need": need, "category": category });
            let added = stage.does(who, &format!("needs {category}"), "needs", body).await?;
            ids.push(added.text("/need/id")?);
        }
        stage.does(who, "confirms both needs", "needs/confirm", json!({ "needIds": ids })).await?;
        stage.hears(who.partner(), "partner.needs_confirmed").await?;
        stage.does(who, "agrees to share them", "needs/consent", json!({ "needIds": ids })).await?;
        stage.hears(who.partner(), "partner.needs_shared").await?;
    }
    for who in BOTH {
        let common = stage.reads(who, "sees what both need: connection", "/common-ground").await?;
        let ids = common.ids("/commonGround")?;
        let confirmations: Vec<_> = ids.iter().map(|id| json!({ "commonGroundId": id, "confirmed": true })).collect();
        let body = json!({ "confirmations": confirmations });
        stage.does(who, "confirms the common ground", "common-ground/confirm", body).await?;
        stage.hears(who.partner(), "partner.stage_completed").await?;
    }
    both_advance(stage, 4).await
}

async fn a_crash(stage: &mut Stage) -> Result<(), Error> {
    stage.chapter("A crash in between");
    let before = stage.seq;
    stage.server_dies_and_returns().await?;
    for who in BOTH {
        stage.comes(who, "connects again").await?;
        let state = stage.reads(who, "finds everything as it was", "/state").await?;
        expect("seq after the crash", &json!(before), &state.data["seq"])?;
    }
    stage.sees(Alex, true).await
}

async fn rankings(stage: &mut Stage) -> Result<(), Error> {
    stage.chapter("Stage 4: Strategic Repair");
    let ideas = [
        (Alex, "Sunday evening: plan the week for ten minutes"),
        (Alex, "A shared calendar"),
        (Sam, "Two evenings a week without any plan"),
        (Sam, "Phones away at dinner"),
    ];
    for (who, idea) in ideas {
        stage.does(who, "puts an idea into the pool", "strategies", json!({ "description": idea })).await?;
    }
    for who in BOTH {
        stage.does(who, "is ready to rank", "strategies/ready", Value::Null).await?;
        stage.hears(who.partner(), "partner.ready_to_rank").await?;
    }
    for who in BOTH {
        let pool = stage.reads(who, "looks at the pool, in which nobody is named", "/strategies").await?;
        let mut ids = pool.ids("/strategies")?;
        // Both rank the same three, in different orders.
        ids.sort();
        ids.truncate(3);
        if who == Sam {
            ids.reverse();
        }
        stage.does(who, "ranks in private", "strategies/rank", json!({ "rankedIds": ids })).await?;
        stage.hears(who.partner(), "partner.ranking_submitted").await?;
    }
    // Sam submitted the second ranking, so Sam's answer holds the overlap already.
    stage.hears(Alex, "strategies.overlap_ready").await?;
    Ok(())
}

async fn agreement(stage: &mut Stage) -> Result<(), Error> {
    stage.leaves(Sam, "has to catch a train").await?;
    stage.sees(Alex, false).await?;
    let overlap = stage.reads(Alex, "sees what both would try", "/strategies/overlap").await?;
    let strategy = overlap.ids("/overlap")?.into_iter().next();
    let proposal = json!({
        "strategyId": strategy,
        "description": "We try it for two weeks",
        "type": "MICRO_EXPERIMENT",
        "duration": "2 weeks",
    });
    let proposed = stage.does(Alex, "proposes an agreement", "agreements", proposal).await?;
    let id = proposed.text("/agreement/id")?;
    stage.is_pushed(Sam, "agreement.proposed", "New experiment proposed").await?;

    let last_seen = stage.seq.saturating_sub(1);
    stage.comes(Sam, "opens the app from the notification").await?;
    stage.sees(Alex, true).await?;
    let missed = stage.reads(Sam, "catches up on what was missed", &format!("/events?after={last_seen}")).await?;
    let names = missed.data["events"].as_array().into_iter().flatten().filter_map(|event| event["name"].as_str());
    if !names.into_iter().any(|name| name == "agreement.proposed") {
        return Err(missing("agreement.proposed among the missed events", &missed.data["events"]));
    }

    stage.does(Sam, "asks for a moment", "pause", json!({ "reason": "Let me sleep on it" })).await?;
    stage.hears(Alex, "session.paused").await?;
    stage.does(Sam, "is back", "resume", Value::Null).await?;
    stage.hears(Alex, "session.resumed").await?;
    let confirm = format!("agreements/{id}/confirm");
    stage.does(Sam, "confirms the agreement", &confirm, json!({ "confirmed": true })).await?;
    stage.hears(Alex, "agreement.confirmed").await.map(drop)
}

async fn resolution(stage: &mut Stage) -> Result<(), Error> {
    stage.chapter("Resolution");
    stage.does(Alex, "resolves the session", "resolve", Value::Null).await?;
    stage.hears(Sam, "session.resolved").await?;
    for who in BOTH {
        let state = stage.reads(who, "looks back", "/state").await?;
        expect("the session's status", &json!("RESOLVED"), &state.data["session"]["status"])?;
    }
    Ok(())
}

async fn both_advance(stage: &mut Stage, to: u64) -> Result<(), Error> {
    for who in BOTH {
        stage.advances(who, to).await?;
    }
    Ok(())
}

fn missing(what: &str, found: &Value) -> Error {
    Error::NotAsPromised { what: what.into(), expected: "there".into(), found: found.to_string() }
}
