//! Any bytes give a frame or an error, and an accepted message can be written in both formats.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tandem::realtime::embedded::protocol::{
    Action, Format, Inbound, Message, Outbound,
    message::{Place, Placed},
};

fuzz_target!(|bytes: &[u8]| {
    let Ok(frame) = Inbound::decode(Format::Msgpack, bytes) else { return };
    let messages: Vec<Message> = frame.messages.unwrap_or_default().into_iter().filter_map(|m| Message::accept(m).ok()).collect();
    for format in [Format::Json, Format::Msgpack] {
        let place = Place { id: None, connection_id: None, timestamp: None, serial: "s" };
        let placed = messages.iter().map(|message| Placed { message, place }).collect();
        let written = Outbound { messages: Some(placed), ..Outbound::new(Action::Message) }.encode(format);
        assert!(Inbound::decode(format, &written).is_ok());
    }
});
