//! Flags of ATTACH and ATTACHED. Some are modes, which say what a connection may do on a channel.

pub const HAS_PRESENCE: u64 = 1;
pub const HAS_BACKLOG: u64 = 1 << 1;
pub const RESUMED: u64 = 1 << 2;
pub const ATTACH_RESUME: u64 = 1 << 5;

/// A set of channel modes, as flag bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Modes(u64);

impl Modes {
    pub const NONE: Modes = Modes(0);
    pub const PRESENCE: Modes = Modes(1 << 16);
    pub const PUBLISH: Modes = Modes(1 << 17);
    pub const SUBSCRIBE: Modes = Modes(1 << 18);
    pub const PRESENCE_SUBSCRIBE: Modes = Modes(1 << 19);
    pub const ANNOTATION_PUBLISH: Modes = Modes(1 << 21);
    /// The modes of an ATTACH without flags or parameters, as far as the capability allows them.
    pub const DEFAULT: Modes = Modes(0b10_1111 << 16);
    /// All bits that request a mode, including modes that this server never grants.
    const ANY: u64 = 0x37F << 16;

    pub fn bits(self) -> u64 {
        self.0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn has(self, mode: Modes) -> bool {
        self.0 & mode.0 == mode.0
    }

    #[must_use]
    pub fn and(self, other: Modes) -> Modes {
        Modes(self.0 & other.0)
    }

    #[must_use]
    pub fn or(self, other: Modes) -> Modes {
        Modes(self.0 | other.0)
    }

    /// The modes that an ATTACH requests: by parameter, else by flags, else the default.
    pub fn asked(params: &[(String, String)], flags: u64) -> Modes {
        let by_param = params.iter().find(|(name, _)| name == "modes").map(|(_, list)| list);
        match by_param {
            Some(list) => list.split(',').map(|name| Modes::named(name.trim())).fold(Modes::NONE, Modes::or),
            None if flags & Self::ANY != 0 => Modes(flags).and(Modes::DEFAULT),
            None => Modes::DEFAULT,
        }
    }

    fn named(name: &str) -> Modes {
        match name.to_ascii_lowercase().as_str() {
            "presence" => Modes::PRESENCE,
            "publish" => Modes::PUBLISH,
            "subscribe" => Modes::SUBSCRIBE,
            "presence_subscribe" => Modes::PRESENCE_SUBSCRIBE,
            "annotation_publish" => Modes::ANNOTATION_PUBLISH,
            _ => Modes::NONE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_asked_by_parameter_before_flags_before_default() {
        let by_param = vec![("modes".to_owned(), "subscribe, presence".to_owned())];
        assert_eq!(Modes::asked(&by_param, Modes::PUBLISH.bits()), Modes::SUBSCRIBE.or(Modes::PRESENCE));
        assert_eq!(Modes::asked(&[], Modes::PUBLISH.bits() | RESUMED), Modes::PUBLISH);
        assert_eq!(Modes::asked(&[], RESUMED), Modes::DEFAULT);
        assert!(Modes::DEFAULT.has(Modes::ANNOTATION_PUBLISH) && Modes::DEFAULT.has(Modes::PRESENCE));
        assert_eq!(Modes::asked(&[], 1 << 24), Modes::NONE, "only modes that are not served");
    }
}
