//! A message in Expo's format: a generic text, and `data` with the session, the event's name and its `seq`. Apple and
//! Google show it on lock screens, so it must not hold anything that a partner wrote.

use std::time::Duration;

use data_encoding::HEXLOWER;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tandem_actors::domain::ids::{Seq, SessionId};

use super::{
    config::{Priority, PushSettings, Text},
    reach::Device,
    texts::Texts,
    tokens::PushToken,
};

/// The largest message that Apple and Google accept, in bytes.
pub const BUDGET: usize = 4096;

/// The longest event name that the budget assumes.
const LONGEST_EVENT: usize = 64;

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PushMessage {
    pub to: PushToken,
    /// Absent on the retry after an unknown outcome: if the first message has arrived, the second replaces it silently.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sound: Option<&'static str>,
    pub title: String,
    pub body: String,
    pub data: Data,
    /// How long Apple and Google may try, in seconds.
    pub ttl: u64,
    pub priority: Priority,
    /// Makes a notification replace an earlier one of the same session: `collapseId` for Apple, `tag` for Google.
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

/// The content of a message.
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

    /// The size of what Apple and Google get: everything except the recipient.
    pub fn size(&self) -> usize {
        let whole = serde_json::to_vec(self).map_or(usize::MAX, |json| json.len());
        whole.saturating_sub(self.to.reveal().len())
    }
}

/// A short name of the session that does not show its id. Apple allows 64 bytes.
fn short_hash(session: &SessionId) -> String {
    HEXLOWER.encode(&Sha256::digest(session.as_str().as_bytes())[..12])
}

/// The size of a text's message with the longest ids and names.
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
