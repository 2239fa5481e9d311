//! Whose devices there are.

use std::time::Duration;

use tandem::push::DeviceState;
use tandem_actors::ports::{Clock as _, Devices as _};

use super::rig::{NOON, Rig, eventually, token, user};

#[tokio::test]
async fn a_shared_phone_belongs_to_the_user_who_registered_it_last() {
    let mut rig = Rig::new().await;
    rig.register("ann", &token(1)).await;
    assert!(rig.devices.has_push_token(&user("ann")));
    rig.register("bob", &token(1)).await;
    for _ in 0..2 {
        assert!(!rig.devices.has_push_token(&user("ann")));
        assert!(rig.devices.has_push_token(&user("bob")));
        rig.restart().await;
    }
    assert!(!rig.devices.remove(user("ann"), token(1).parse().unwrap()).await.unwrap());
    assert!(rig.devices.has_push_token(&user("bob")), "ann cannot sign bob out");
    assert!(rig.devices.remove(user("bob"), token(1).parse().unwrap()).await.unwrap());
    assert!(!rig.devices.has_push_token(&user("bob")));
}

#[tokio::test]
async fn the_eleventh_device_takes_the_place_of_the_oldest() {
    let rig = Rig::new().await;
    for number in 0..10 {
        rig.register("ann", &token(number)).await;
        rig.advance(Duration::from_secs(1));
    }
    rig.register("ann", &token(0)).await;
    rig.register("ann", &token(10)).await;
    let reach = rig.devices.reach(&user("ann")).unwrap();
    let kept: Vec<_> = reach.devices.iter().map(|device| device.token.reveal().to_owned()).collect();
    let expected: Vec<_> = (2..10).chain([0, 10]).map(token).collect();
    assert_eq!(kept, expected, "the first was registered again and is not the oldest");
    rig.register("bob", &token(1)).await;
    assert_eq!(rig.devices.reach(&user("ann")).unwrap().devices.len(), 10, "the dropped one has no owner");
}

#[tokio::test]
async fn erasure_leaves_no_row() {
    let rig = Rig::new().await;
    let before = rig.store.rows();
    rig.register("ann", &token(1)).await;
    rig.register("ann", &token(2)).await;
    let patch = serde_json::from_str(r#"{"pushEnabled": false}"#).unwrap();
    assert!(!rig.devices.patch_preferences(user("ann"), patch).await.unwrap().push_enabled);
    assert!(!rig.devices.pushes_enabled(&user("ann")).unwrap());
    rig.devices.erase(user("ann")).await.unwrap();
    assert_eq!(rig.store.rows(), before);
    assert!(!rig.devices.has_push_token(&user("ann")));
}

#[tokio::test]
async fn an_answer_does_not_affect_a_device_registered_after_the_send() {
    let rig = Rig::new().await;
    rig.register("ann", &token(1)).await;
    let sent_at = rig.clock.now();
    rig.advance(Duration::from_secs(60));
    rig.register("ann", &token(1)).await;
    let id = token(1).parse::<tandem::push::PushToken>().unwrap().device_id();
    rig.devices.mark_unregistered(user("ann"), id.clone(), sent_at).await.unwrap();
    assert!(rig.devices.has_push_token(&user("ann")));
    rig.devices.mark_unregistered(user("ann"), id, rig.clock.now()).await.unwrap();
    assert!(!rig.devices.has_push_token(&user("ann")));
}

#[tokio::test]
async fn many_unregistered_devices_at_once_are_quarantined() {
    let mut rig = Rig::new().await;
    let sent_at = rig.clock.now();
    for number in 0..30 {
        rig.register(&format!("user{number}"), &token(number)).await;
    }
    rig.advance(Duration::from_secs(1));
    for number in 0..30 {
        if number == 10 {
            rig.restart().await;
        }
        let id = token(number).parse::<tandem::push::PushToken>().unwrap().device_id();
        rig.devices.mark_unregistered(user(&format!("user{number}")), id, sent_at).await.unwrap();
    }
    let state = |number: u32| rig.device_of(&format!("user{number}"), &token(number)).unwrap().state;
    assert!(matches!(state(29), DeviceState::Quarantined { .. }));
    assert!(matches!(state(15), DeviceState::Quarantined { .. }), "taken back: {:?}", state(15));
    assert!(!rig.devices.has_push_token(&user("user29")));
    rig.advance(Duration::from_secs(2 * 3600));
    assert!(rig.devices.has_push_token(&user("user29")), "tried again after the quarantine");
    let id = token(29).parse::<tandem::push::PushToken>().unwrap().device_id();
    rig.devices.mark_unregistered(user("user29"), id, rig.clock.now()).await.unwrap();
    assert!(matches!(state(29), DeviceState::Retired { .. }), "and believed the next time");
}

#[tokio::test]
async fn quiet_hours_hold_a_push_until_they_end() {
    let rig = Rig::new().await;
    rig.register_with("ann", &token(1), None, Some("Europe/Vienna")).await;
    let patch = serde_json::from_str(r#"{"quietHours": {"start": "12:00", "end": "15:30"}}"#).unwrap();
    rig.devices.patch_preferences(user("ann"), patch).await.unwrap();
    rig.decide(1, "ann", 1).await;
    eventually("held", || rig.told_as_json(1)[0]["decision"]["kind"] == "held").await;
    assert_eq!(rig.clock.now().to_string(), NOON.replace("Z", ".000Z"));
    assert_eq!(rig.told_as_json(1)[0]["decision"]["until"], "2026-01-10T14:30:00.000Z");
    rig.advance(Duration::from_secs(2 * 3600 + 29 * 60));
    rig.decide(1, "ann", 2).await;
    eventually("the second is held too", || rig.told_as_json(1)[1]["decision"]["kind"] == "held").await;
    assert_eq!(rig.sends().len(), 0);
    rig.advance(Duration::from_secs(60));
    eventually("shown", || rig.expo.device(&token(1)).is_some()).await;
    eventually("one stands for both", || rig.told_as_json(1)[0]["decision"]["kind"] == "coalesced").await;
    let shown = rig.expo.device(&token(1)).unwrap().notifications;
    assert_eq!(shown.len(), 1);
    assert_eq!((shown[0].messages, &shown[0].data["seq"]), (1, &2.into()));
}

#[tokio::test]
async fn what_quiet_hours_hold_comes_when_the_user_ends_them() {
    let rig = Rig::new().await;
    rig.register("ann", &token(1)).await;
    rig.join(1, "ann").await;
    let patch = |hours: &str| serde_json::from_str(&format!(r#"{{"quietHours": {hours}}}"#)).unwrap();
    let hours = r#"{"start": "12:00", "end": "15:30", "timeZone": "Europe/Vienna"}"#;
    rig.devices.patch_preferences(user("ann"), patch(hours)).await.unwrap();
    rig.decide(1, "ann", 1).await;
    eventually("held", || rig.told_as_json(1)[0]["decision"]["kind"] == "held").await;
    let later = r#"{"start": "12:00", "end": "16:00", "timeZone": "Europe/Vienna"}"#;
    rig.devices.patch_preferences(user("ann"), patch(later)).await.unwrap();
    eventually("held for longer", || rig.told_as_json(1)[0]["decision"]["until"] == "2026-01-10T15:00:00.000Z").await;
    assert_eq!(rig.sends().len(), 0);
    rig.devices.patch_preferences(user("ann"), patch("null")).await.unwrap();
    eventually("shown", || rig.expo.device(&token(1)).is_some()).await;
    assert_eq!(rig.told_as_json(1)[0]["decision"]["kind"], "send");
}
