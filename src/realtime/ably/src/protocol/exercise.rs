//! Decodes and encodes frames as the server does, for the property tests and the fuzz targets (`tests/fuzz`).

use super::{
    Action, Format, Inbound, Message, Outbound, PresenceMessage,
    data::Payload,
    message::{LogPosition, PositionedMessage},
};

/// Decodes a frame, and encodes what it accepts in both formats.
///
/// # Panics
/// If an accepted frame changes on the way.
pub fn exercise(format: Format, bytes: &[u8]) {
    let Ok(mut frame) = Inbound::decode(format, bytes) else { return };
    let _ = (frame.action(), frame.msg_serial(), frame.flags());
    let messages = frame.messages.take().unwrap_or_default();
    let messages: Vec<Message> = messages.into_iter().filter_map(|message| Message::accept(message).ok()).collect();
    let members: Vec<PresenceMessage> = members(&mut frame);
    for target in [Format::Json, Format::Msgpack] {
        let position = LogPosition { id: None, connection_id: Some("c"), timestamp: Some(1), serial: "s" };
        let positioned = messages.iter().map(|message| PositionedMessage { message, position }).collect();
        let written = Outbound { messages: Some(positioned), ..Outbound::new(Action::Message) }.encode(target);
        let again = Inbound::decode(target, &written).expect("what is written can be read");
        let again = again.messages.expect("there is a list");
        let again: Vec<Message> =
            again.into_iter().map(|message| Message::accept(message).expect("it was accepted before")).collect();
        assert_eq!(messages.len(), again.len());
        for (before, after) in messages.iter().zip(&again) {
            assert_eq!((&before.name, &before.client_id), (&after.name, &after.client_id));
            assert_eq!(before.payload, after.payload);
        }
        let written =
            Outbound { presence: Some(members.iter().collect()), ..Outbound::new(Action::Presence) }.encode(target);
        let mut again = Inbound::decode(target, &written).expect("what is written can be read");
        let again = self::members(&mut again);
        assert_eq!(members.len(), again.len());
        for (before, after) in members.iter().zip(&again) {
            assert_eq!((before.action, &before.client_id), (after.action, &after.client_id));
            assert_eq!(before.payload, after.payload);
        }
    }
}

/// A frame in JSON.
pub fn frame_json(bytes: &[u8]) {
    exercise(Format::Json, bytes);
}

/// A frame in MessagePack.
pub fn frame_msgpack(bytes: &[u8]) {
    exercise(Format::Msgpack, bytes);
}

fn members(frame: &mut Inbound) -> Vec<PresenceMessage> {
    let events = frame.presence.take().unwrap_or_default();
    let accepted = events.into_iter().filter_map(|event| {
        Some(PresenceMessage {
            action: event.wanted().ok()?,
            id: event.id.unwrap_or_default().into(),
            client_id: event.client_id.unwrap_or_default().into(),
            connection_id: "c".into(),
            timestamp: 1,
            payload: Payload::accept(event.data, event.encoding).ok()?,
            extras: None,
        })
    });
    accepted.collect()
}

#[cfg(test)]
mod tests {
    use tandem_corpus::replay;

    #[test]
    fn the_corpora_of_frames_pass() {
        replay("frame_json", super::frame_json);
        replay("frame_msgpack", super::frame_msgpack);
    }
}
