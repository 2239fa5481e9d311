//! Channel serials: positions in a channel's log. They are opaque to clients and sort as text: by time, then by
//! number. The log's id distinguishes positions in an earlier log of the channel.

use std::{fmt, sync::Arc};

/// `<14 digits of ms>-<10 digits of seq>@<log>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelSerial {
    pub at: i64,
    pub seq: u64,
    pub log: Arc<str>,
}

impl ChannelSerial {
    /// Parses a channel serial, or a message serial, which adds `:index`.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > 96 {
            return None;
        }
        let (position, log) = text.split_once('@')?;
        let (at, seq) = position.split_once('-')?;
        let log = log.split(':').next().filter(|log| !log.is_empty())?;
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(at) || !digits(seq) {
            return None;
        }
        Some(Self { at: at.parse().ok()?, seq: seq.parse().ok()?, log: log.into() })
    }
}

impl fmt::Display for ChannelSerial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

impl ChannelSerial {
    /// The same as `to_string`, but faster: it runs for every published message.
    pub fn to_text(&self) -> String {
        let mut text = String::with_capacity(26 + self.log.len());
        push_padded(&mut text, u64::try_from(self.at).unwrap_or(0), 14);
        text.push('-');
        push_padded(&mut text, self.seq, 10);
        text.push('@');
        text.push_str(&self.log);
        text
    }
}

/// The serial of one message of an entry.
pub fn message_serial(channel_serial: &str, index: usize) -> String {
    let mut text = String::with_capacity(channel_serial.len() + 5);
    text.push_str(channel_serial);
    text.push(':');
    // Enough digits for the largest frame, so that serials sort as text.
    push_padded(&mut text, index as u64, 4);
    text
}

/// A number with leading zeros up to `width` digits.
fn push_padded(text: &mut String, mut number: u64, width: usize) {
    // The largest u64 has 20 digits.
    let mut digits = [b'0'; 20];
    let mut begin = digits.len();
    while number > 0 || digits.len() - begin < width {
        begin -= 1;
        digits[begin] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    text.push_str(std::str::from_utf8(&digits[begin..]).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_reads_back_what_it_says_and_sorts_as_text() {
        let earlier = ChannelSerial { at: 1_700_000_000_000, seq: 9, log: "abcd".into() };
        let later = ChannelSerial { at: 1_700_000_000_000, seq: 10, log: "abcd".into() };
        assert_eq!(ChannelSerial::parse(&earlier.to_string()), Some(earlier.clone()));
        assert_eq!(ChannelSerial::parse(&message_serial(&later.to_string(), 3)), Some(later.clone()));
        assert!(earlier.to_string() < later.to_string());
        assert_eq!(earlier.to_string(), "01700000000000-0000000009@abcd");
        assert_eq!(message_serial("s", 7), "s:0007");
        assert_eq!(message_serial("s", 1_234), "s:1234");
    }

    #[test]
    fn malformed_serials_are_not_parsed() {
        for text in ["", "@", "1-2", "-1-2@x", "1-2@", "a-2@x", "99999999999999999999-1@x", "1-2-3@x"] {
            assert_eq!(ChannelSerial::parse(text), None, "{text}");
        }
    }
}
