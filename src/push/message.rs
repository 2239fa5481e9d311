//! One message as Expo takes it: generic words, and `data` with the session, the event's name and its `seq`, nothing else.
//! Whatever Apple and Google show on a lock screen is in here, so nothing of a partner's may be.

use std::time::Duration;

use serde::Serialize;
use sha2::{Digest, Sha256};
use tandem_actors::domain::ids::{Seq, SessionId};

use super::{
    config::{PushSettings, Priority, Text},
    reach::Device,
    texts::Texts,
    tokens::{PushToken, hex},
};

/// Bytes that Apple and Google take.
pub const BUDGET: usize = 4096;

/// The longest event name that a budget is reckoned with.
const LONGEST_EVENT: usize = 64;

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PushMessage {
    pub to: PushToken,
    /// Absent on the one retry after an unknown outcome: if the first has arrived, it is replaced without ringing twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sound: Option<&'static str>,
    pub title: String,
    pub body: String,
    pub data: Data,
    /// Seconds that Apple and Google may still try.
    pub ttl: u64,
    pub priority: Priority,
    /// What replaces an earlier notification of the same session: `collapseId` for Apple, `tag` for Google.
    pub collapse_id: String,
    pub tag: String,
    pub thread_id: String,
    pub badge: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_id: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Data {
    pub session_id: SessionId,
    pub event: String,
    pub seq: Seq,
}

/// What a message tells, beside whom.
#[derive(Clone, Debug)]
pub struct Occasion<'a> {
    pub session: &'a SessionId,
    pub event: &'a str,
    pub seq: Seq,
    pub unread: u32,
    pub time_left: Duration,
    pub possible_duplicate: bool,
}

impl PushMessage {
    pub fn new(config: &PushSettings, texts: &Texts, device: &Device, occasion: &Occasion<'_>) -> Self {
        let text = texts.pick(device.locale.as_deref(), occasion.event);
        let short = short_hash(occasion.session);
        Self {
            to: device.token.clone(),
            sound: (!occasion.possible_duplicate).then_some("default"),
            title: text.title.clone(),
            body: text.body.clone(),
            data: Data { session_id: occasion.session.clone(), event: occasion.event.to_owned(), seq: occasion.seq },
            ttl: occasion.time_left.as_secs(),
            priority: config.priority,
            collapse_id: short.clone(),
            tag: short.clone(),
            thread_id: short,
            badge: occasion.unread,
            channel_id: config.channel_id.clone(),
        }
    }

    /// What Apple and Google are sent, at least: everything but whom it is for.
    pub fn size(&self) -> usize {
        let whole = serde_json::to_vec(self).map_or(usize::MAX, |json| json.len());
        whole.saturating_sub(self.to.reveal().len())
    }
}

/// Names the session to a device without spelling out its id; well below the 64 bytes that Apple allows.
fn short_hash(session: &SessionId) -> String {
    hex(&Sha256::digest(session.as_str().as_bytes())[..12])
}

/// A text's message with the longest ids and names there are.
pub fn worst_case_size(text: &Text) -> usize {
    const ENVELOPE: usize = 512;
    let json = serde_json::to_vec(text).map_or(usize::MAX, |json| json.len());
    json.saturating_add(ENVELOPE + LONGEST_EVENT)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use tandem_actors::domain::time::Timestamp;

    fn message(possible_duplicate: bool) -> PushMessage {
        let device = Device {
            locale: Some("de-AT".into()),
            ..Device::new("ExponentPushToken[abc]".parse().unwrap(), Timestamp::from_millis(0))
        };
        let occasion = Occasion {
            session: &"csession0001".parse().unwrap(),
            event: "partner.signed_compact",
            seq: 7,
            unread: 2,
            time_left: Duration::from_secs(90),
            possible_duplicate,
        };
        PushMessage::new(&PushSettings::default(), &Texts::new(&Default::default()), &device, &occasion)
    }

    #[test]
    fn a_message_is_what_the_service_and_the_app_expect_and_nothing_else() {
        let sent = serde_json::to_value(message(false)).unwrap();
        let short = sent["collapseId"].clone();
        assert!(short.as_str().unwrap().len() <= 64);
        assert_ne!(short, json!("csession0001"));
        assert_eq!(
            sent,
            json!({
                "to": "ExponentPushToken[abc]", "sound": "default", "title": "Partner is ready",
                "body": "They signed the Curiosity Compact. Your turn!",
                "data": {"sessionId": "csession0001", "event": "partner.signed_compact", "seq": 7},
                "ttl": 90, "priority": "high", "badge": 2,
                "collapseId": short, "tag": short, "threadId": short,
            })
        );
    }

    #[test]
    fn a_possible_duplicate_replaces_the_first_without_ringing_again() {
        let (first, second) = (message(false), message(true));
        assert_eq!((first.collapse_id, first.tag), (second.collapse_id.clone(), second.tag.clone()));
        assert_eq!(serde_json::to_value(message(true)).unwrap().get("sound"), None::<&Value>);
    }

    #[test]
    fn a_text_that_cannot_fit_is_refused_when_it_is_configured() {
        let mut config = PushSettings::default();
        let long = Text { title: "t".into(), body: "x".repeat(3600) };
        config.texts.entry("de".into()).or_default().insert("default".into(), long);
        let refusal = config.validate().unwrap_err();
        assert!(refusal.key.starts_with("texts.de"), "{refusal}");
        assert_eq!(PushSettings::default().validate(), Ok(()));
        assert!(
            message(false).size() < worst_case_size(&Text { title: message(false).title, body: message(false).body })
        );
    }
}
