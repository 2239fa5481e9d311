//! However much a partner does, a phone rings once in a while: the last state is told, and the operator can see what
//! was merged.

use std::time::Duration;

use serde_json::json;

use super::rig::{Rig, eventually, session, token};

async fn paced() -> Rig {
    let defaults = tandem::push::PushSettings::default();
    let rig = Rig::with(|config| {
        (config.spacing, config.spacing_later) = (defaults.spacing, defaults.spacing_later);
        config.user_rate = defaults.user_rate;
    })
    .await;
    rig.register("ann", &token(1)).await;
    rig
}

/// Whatever is due is decided, and nothing is under way.
async fn settled(rig: &Rig, number: u32, pushes: usize) {
    eventually("everything is decided", || {
        let told = rig.told(number);
        told.len() == pushes && told.iter().all(|one| one.decision.is_some())
    })
    .await;
    eventually("nothing is under way", || {
        let told = rig.told_as_json(number);
        let mut deliveries =
            told.as_array().into_iter().flatten().filter_map(|one| one["deliveries"].as_array().cloned());
        deliveries.all(|devices| devices.iter().all(|delivery| delivery["state"] != "started"))
    })
    .await;
}

#[tokio::test]
async fn a_partner_who_acts_ten_times_a_second_causes_three_notifications_a_minute() {
    let rig = paced().await;
    for seq in 1..=200 {
        rig.decide(1, "ann", seq).await;
        settled(&rig, 1, usize::try_from(seq).unwrap()).await;
        rig.advance(Duration::from_millis(100));
    }
    eventually("the second went out after ten seconds", || rig.sends().len() == 2).await;
    let held = rig.told_as_json(1)[199]["decision"].clone();
    assert_eq!(held["kind"], "held", "{held}");
    assert!(held["why"].as_str().is_some_and(|why| why.contains("merged")), "{held}");
    rig.advance(Duration::from_secs(50));
    eventually("the last state is told", || rig.sends().len() == 3).await;
    let view = rig.expo.device(&token(1)).unwrap();
    assert_eq!(view.notifications[0].data["seq"], 200);
    eventually("and nothing is left", || rig.told_as_json(1)[199]["decision"]["kind"] == "send").await;
    assert_eq!(rig.told_as_json(1)[150]["decision"], json!({ "kind": "coalesced", "into": 200 }));
    rig.advance(Duration::from_secs(3_600));
    rig.decide(1, "ann", 201).await;
    eventually("after a rest the first is free again", || rig.sends().len() == 4).await;
}

#[tokio::test]
async fn the_pace_survives_a_restart() {
    let mut rig = paced().await;
    rig.decide(1, "ann", 1).await;
    eventually("sent", || rig.sends().len() == 1).await;
    settled(&rig, 1, 1).await;
    rig.restart().await;
    rig.decide(1, "ann", 2).await;
    eventually("held", || rig.told_as_json(1)[1]["decision"]["kind"] == "held").await;
    assert_eq!(rig.sends().len(), 1);
    rig.advance(Duration::from_secs(10));
    eventually("sent when it may be", || rig.sends().len() == 2).await;
}

#[tokio::test]
async fn many_sessions_together_stay_within_the_rate_of_the_user() {
    let rig = paced().await;
    rig.register("ben", &token(2)).await;
    rig.decide_all((1..=60).map(|number| (number, "ann".to_owned(), 1))).await;
    rig.decide(61, "ben", 1).await;
    eventually("another user is served", || rig.expo.device(&token(2)).is_some()).await;
    let messages = |rig: &Rig| {
        rig.expo.device(&token(1)).map_or(0, |view| view.notifications.iter().map(|one| one.messages).sum())
    };
    eventually("a minute's worth", || messages(&rig) == 20).await;
    rig.advance(Duration::from_secs(60));
    eventually("another minute's worth", || messages(&rig) == 40).await;
}

#[tokio::test]
async fn a_dropped_push_does_not_delay_the_next_one() {
    let rig = paced().await;
    rig.sessions.drops.lock().insert(session(1));
    rig.decide(1, "ann", 1).await;
    eventually("dropped", || rig.told_as_json(1)[0]["decision"]["kind"] == "dropped").await;
    rig.sessions.drops.lock().clear();
    rig.decide(1, "ann", 2).await;
    eventually("sent at once", || rig.sends().len() == 1).await;
}
