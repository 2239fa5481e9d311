//! Ably's cloud: every event arrives once and in order, whatever fails.

pub mod fake_ably;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use fake_ably::{FakeAbly, Fault, KEY};
use serde_json::json;
use tandem::{
    realtime::{
        channels::ChannelNames,
        cloud::{AblyCloud, CloudError, CloudSettings},
    },
    secret::Secret,
};
use tandem_actors::{
    domain::{
        ids::{Seq, SessionId},
        time::Timestamp,
    },
    ports::{Channel, Clock, Publication, Realtime, RealtimeError},
};

struct Wall;

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(jiff::Timestamp::now().as_millisecond())
    }
}

const SESSION_CHANNEL: &str = "mwf:session:csession01";

fn cloud_with(adjust: impl FnOnce(&mut CloudSettings)) -> AblyCloud {
    let mut config = CloudSettings { key: Some(Secret::new(KEY)), ..CloudSettings::default() };
    adjust(&mut config);
    let names = ChannelNames {
        session_channel: "mwf:session:{sessionId}".into(),
        user_channel: "mwf:user:{userId}".into(),
        presence_channels: vec!["mwf:session:{sessionId}:presence".into(), "mwf:presence:{sessionId}".into()],
    };
    AblyCloud::new(&config, names, Arc::new(Wall)).unwrap()
}

fn cloud(ably: &FakeAbly) -> AblyCloud {
    cloud_with(|config| config.rest_url = ably.url.clone())
}

fn session() -> SessionId {
    "csession01".parse().unwrap()
}

fn event(seq: Seq) -> Publication {
    Publication {
        channel: Channel::Session(session()),
        id: format!("csession01:{seq}"),
        name: "partner.advanced",
        data: Bytes::from(json!({"toStage": 2, "seq": seq}).to_string()),
        at: Timestamp::from_millis(0),
    }
}

fn ids(seqs: impl IntoIterator<Item = Seq>) -> Vec<String> {
    seqs.into_iter().map(|seq| format!("csession01:{seq}")).collect()
}

#[tokio::test]
async fn an_event_is_published_as_the_sdk_reads_it() {
    let ably = FakeAbly::start().await;
    let user = Publication { channel: Channel::User("a/b|c d".parse().unwrap()), ..event(2) };
    cloud(&ably).publish(vec![event(1), user]).await.unwrap();
    let state = ably.state.lock();
    let data = json!({"toStage": 2, "seq": 1}).to_string();
    let expected = json!({"id": "csession01:1", "name": "partner.advanced", "data": data, "encoding": "json"});
    assert_eq!(state.channels[SESSION_CHANNEL], [expected]);
    assert_eq!(state.channels["mwf:user:a/b|c d"].len(), 1);
}

#[tokio::test]
async fn each_event_arrives_once_after_any_failure() {
    for fault in
        [Fault::Status(503), Fault::After(504), Fault::Throttle { seconds: 0 }, Fault::Late(Duration::from_secs(1))]
    {
        let ably = FakeAbly::start().await;
        ably.fault(fault.clone());
        let cloud = cloud_with(|config| {
            config.rest_url = ably.url.clone();
            config.request_timeout = Duration::from_millis(300);
        });
        cloud.publish(vec![event(1), event(2)]).await.unwrap();
        assert_eq!(ably.names(SESSION_CHANNEL), ids([1, 2]), "{fault:?}");
        assert!(ably.state.lock().requests >= 3, "{fault:?}");
    }
}

#[tokio::test]
async fn publishes_of_a_channel_keep_the_order_in_which_they_were_asked_for() {
    let ably = FakeAbly::start().await;
    ably.fault(Fault::Status(500));
    let cloud = cloud(&ably);
    let publishes: Vec<_> = (1..=20).map(|seq| cloud.publish(vec![event(seq)])).collect();
    // Polled in the reverse order.
    for result in futures_util::future::join_all(publishes.into_iter().rev()).await {
        result.unwrap();
    }
    assert_eq!(ably.names(SESSION_CHANNEL), ids(1..=20));
}

#[tokio::test]
async fn an_abandoned_publish_does_not_block_the_next() {
    let ably = FakeAbly::start().await;
    let cloud = cloud(&ably);
    drop(cloud.publish(vec![event(1)]));
    cloud.publish(vec![event(2)]).await.unwrap();
    assert_eq!(ably.names(SESSION_CHANNEL), ids([2]));
}

#[tokio::test]
async fn a_fallback_host_serves_when_the_first_does_not() {
    let ably = FakeAbly::start().await;
    let cloud = cloud_with(|config| {
        config.rest_url = "http://127.0.0.1:9".into();
        config.fallback_urls = Some(vec![ably.url.clone()]);
    });
    cloud.publish(vec![event(1)]).await.unwrap();
    assert_eq!(ably.names(SESSION_CHANNEL), ids([1]));
}

#[tokio::test]
async fn refusals_are_distinguished_from_temporary_failures() {
    let ably = FakeAbly::start().await;
    let cloud = cloud(&ably);
    ably.fault(Fault::Status(400));
    let refused = cloud.publish(vec![event(1)]).await.unwrap_err();
    assert_eq!(refused, RealtimeError::Refused { reason: "400 with code 50000".into() });
    ably.fault(Fault::Throttle { seconds: 100 });
    let throttled = cloud.publish(vec![event(1)]).await.unwrap_err();
    let hundred = Some(Duration::from_secs(100));
    assert_eq!(throttled, RealtimeError::Unavailable { reason: "too many requests".into(), retry_after: hundred });
    let stranger = cloud_with(|config| {
        config.rest_url = ably.url.clone();
        config.key = Some(Secret::new("app.key:other"));
    });
    let unauthorized = stranger.publish(vec![event(1)]).await.unwrap_err();
    assert!(matches!(unauthorized, RealtimeError::Unavailable { retry_after: Some(_), .. }), "{unauthorized:?}");
    assert_eq!(ably.state.lock().refused_keys, 1, "a refused key is not tried again at once");
}

#[tokio::test]
async fn a_service_that_is_down_is_not_called_until_a_trial_succeeds() {
    let ably = FakeAbly::start().await;
    let cloud = cloud(&ably);
    (0..12).for_each(|_| ably.fault(Fault::Status(503)));
    let mut last = Ok(());
    while ably.state.lock().requests < 10 {
        last = cloud.publish(vec![event(1)]).await;
    }
    assert!(last.is_err());
    let RealtimeError::Unavailable { retry_after: Some(wait), .. } = cloud.publish(vec![event(1)]).await.unwrap_err()
    else {
        panic!("the breaker says when");
    };
    assert_eq!(ably.state.lock().requests, 10);
    ably.state.lock().faults.clear();
    tokio::time::sleep(wait).await;
    cloud.publish(vec![event(1)]).await.unwrap();
}

#[tokio::test]
async fn presence_is_read_over_all_pages_of_all_channels() {
    let ably = FakeAbly::start().await;
    let member = |client: &str, connection: &str, at: i64| json!({"clientId": client, "connectionId": connection, "action": 1, "timestamp": at});
    let first = (0..5).map(|number| member("ann", &format!("K{number}"), number)).collect();
    ably.state.lock().present.insert("mwf:session:csession01:presence".into(), first);
    ably.state.lock().present.insert("mwf:presence:csession01".into(), vec![member("bob", "K9", 9)]);
    ably.fault(Fault::Status(502));
    let members = cloud(&ably).members(&session()).await.unwrap();
    let told: Vec<_> =
        members.iter().map(|one| (one.user.as_str(), one.connection.as_str(), one.at.as_millis())).collect();
    let expected =
        [("ann", "K0", 0), ("ann", "K1", 1), ("ann", "K2", 2), ("ann", "K3", 3), ("ann", "K4", 4), ("bob", "K9/1", 9)];
    assert_eq!(told, expected);
}

#[test]
fn a_malformed_key_is_refused_without_being_shown() {
    let config = CloudSettings { key: Some(Secret::new("canary")), ..CloudSettings::default() };
    let error = AblyCloud::new(&config, ChannelNames::default(), Arc::new(Wall)).map(|_| ()).unwrap_err();
    assert!(matches!(error, CloudError::Key));
    assert!(!format!("{error} {config:?}").contains("canary"));
}
