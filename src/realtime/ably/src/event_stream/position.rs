//! Where a client is in its channels: one channel serial for each, in the order of its request. It is the id of an
//! event, by which a client continues on any node that has the channels' logs.

use crate::protocol::{ChannelSerial, ErrorInfo};

pub struct Position(Vec<String>);

impl Position {
    pub const SEPARATOR: char = ',';

    /// # Errors
    /// 40000 if the text is not an id of an event from so many channels.
    pub fn parse(text: &str, channels: usize) -> Result<Self, ErrorInfo> {
        let serials: Vec<String> = text.split(Self::SEPARATOR).map(str::to_owned).collect();
        if serials.len() != channels || serials.iter().any(|serial| ChannelSerial::parse(serial).is_none()) {
            return Err(ErrorInfo::bad_request(
                "lastEvent must be the id of an event from a stream of the same channels, in the same order",
            ));
        }
        Ok(Self(serials))
    }

    /// The serial of the channel with this index.
    pub fn serial(&self, index: usize) -> Option<&str> {
        self.0.get(index).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_has_a_serial_for_each_channel() {
        let (one, two) = ("01700000000000-0000000009@abcd", "01700000000000-0000000001@efgh");
        let position = Position::parse(&format!("{one},{two}"), 2).unwrap();
        assert_eq!((position.serial(0), position.serial(1), position.serial(2)), (Some(one), Some(two), None));
        for (text, channels) in [(one, 2), ("", 1), ("x", 1), ("1,2", 2)] {
            assert_eq!(Position::parse(text, channels).err().map(|error| error.code), Some(40000), "{text}");
        }
    }
}
