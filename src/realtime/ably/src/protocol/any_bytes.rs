//! Any bytes give a frame or an error. Accepted frames survive writing and reading in the other format.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Format, Inbound, exercise::exercise};

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        prop_oneof![Just("base64"), Just("json"), Just("utf-8/base64"), Just("json/utf-8")].prop_map(Value::from),
    ];
    let field = prop_oneof![
        Just("action"),
        Just("channel"),
        Just("messages"),
        Just("presence"),
        Just("msgSerial"),
        Just("data"),
        Just("encoding"),
        Just("name"),
        Just("id"),
        Just("extras"),
        Just("params"),
        Just("flags"),
        Just("auth"),
        Just("x"),
    ];
    leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((field.clone(), inner), 0..6).prop_map(|fields| Value::Object(
                fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
            )),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_give_a_frame_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        exercise(Format::Json, &bytes);
        exercise(Format::Msgpack, &bytes);
    }

    #[test]
    fn any_value_gives_a_frame_or_an_error(value in any_json(), messages in prop::collection::vec(any_json(), 0..3)) {
        for value in [value, json!({"action": 15, "channel": "c", "msgSerial": 0, "messages": messages})] {
            exercise(Format::Json, value.to_string().as_bytes());
            exercise(Format::Msgpack, &rmp_serde::to_vec_named(&value).unwrap());
        }
    }

    #[test]
    fn a_damaged_frame_gives_a_frame_or_an_error(position in 0usize..200, byte in any::<u8>()) {
        let value = json!({"action": 15, "channel": "c", "msgSerial": 0, "messages": [{"name": "n", "data": "AAEC", "encoding": "base64", "extras": {"a": [1, {"b": null}]}}]});
        for (format, mut bytes) in [(Format::Json, value.to_string().into_bytes()), (Format::Msgpack, rmp_serde::to_vec_named(&value).unwrap())] {
            let position = position % bytes.len();
            bytes[position] = byte;
            exercise(format, &bytes);
            exercise(format, &bytes[..position]);
        }
    }
}

#[test]
fn depth_and_number_of_elements_are_limited() {
    let deep = |opening: &[u8], count: usize| opening.repeat(count);
    for count in [100, 1_000, 500_000] {
        let mut json = br#"{"action":15,"messages":[{"extras":"#.to_vec();
        json.extend(deep(br#"{"a":"#, count));
        assert!(Inbound::decode(Format::Json, &json).is_err());
        // A map with one entry `a`, nested many times.
        let msgpack = deep(&[0x81, 0xa1, b'a'], count);
        assert!(Inbound::decode(Format::Msgpack, &msgpack).is_err());
    }
    // 500,000 empty messages of one byte each.
    let mut many = vec![0x82, 0xa6];
    many.extend(b"action");
    many.push(15);
    many.push(0xa8);
    many.extend(b"messages");
    many.extend([0xdd, 0, 7, 0xa1, 0x20]);
    many.extend(std::iter::repeat_n(0x80, 500_000));
    let refused = Inbound::decode(Format::Msgpack, &many).unwrap_err();
    assert_eq!(refused.error.code, 40000);
    // A list with a length of four billion and no elements.
    let mut liar = vec![0x81, 0xa8];
    liar.extend(b"messages");
    liar.extend([0xdd, 0xff, 0xff, 0xff, 0xff]);
    assert!(Inbound::decode(Format::Msgpack, &liar).is_err());
}
