//! What the server asks of the application that it serves, and what it reports to it. Test apps of the sandbox have no
//! application.

use std::sync::Arc;

use crate::{storage::StorageError, time::Timestamp};

/// The application behind the main app.
pub trait Application: Send + Sync + 'static {
    /// The wall clock.
    fn now(&self) -> Timestamp;

    /// What a channel means to the application. Asked when the channel is opened.
    fn binding(&self, channel: &str) -> ChannelBinding;

    /// Whether clients must not publish messages of this name on a channel that has a stream.
    fn is_reserved(&self, name: &str) -> bool;

    /// What a client may do on a channel now. Asked for tokens with a client id, whenever the server checks an
    /// operation.
    ///
    /// # Errors
    /// If the application cannot read what it needs. The operation is refused then.
    fn rights(&self, client_id: &str, channel: &str) -> Result<Rights, StorageError>;

    /// A member of a presence set has entered, changed or left, on a channel with `reports_presence`.
    fn presence_changed(&self, channel: &str, change: PresenceChange<'_>);

    /// A client has received an event: it answered a ping that was written after the event.
    fn delivered(&self, event: &EventRef, client_id: &str);
}

/// What a channel means to the application.
#[derive(Clone, Debug, Default)]
pub struct ChannelBinding {
    /// The stream whose events the application publishes here, with message ids of the form `<stream>:<seq>`. Clients
    /// can use neither such ids nor reserved names. The application hears of the delivery of its events.
    pub stream: Option<Arc<str>>,
    /// Whether the application hears of changes of the channel's presence set.
    pub reports_presence: bool,
}

/// One event of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRef {
    /// As in [`ChannelBinding::stream`].
    pub stream: Arc<str>,
    /// The number of the event in its stream.
    pub seq: u64,
}

impl EventRef {
    /// The event with this message id: `<stream>:<seq>`, and perhaps another colon and more.
    pub(crate) fn of_message(stream: &Arc<str>, id: &str) -> Option<Self> {
        let rest = id.strip_prefix(&**stream)?.strip_prefix(':')?;
        let digits = rest.split(':').next()?;
        Some(Self { stream: stream.clone(), seq: digits.parse().ok()? })
    }
}

/// What the application says about a client's rights on a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rights {
    /// The rights that the token lists.
    AsIssued,
    /// None, whatever the token lists.
    Ended,
    /// At least the rights of this capability (JSON text), if the application signed the token's request. They count
    /// beside those that the token lists, as far as the token's key has them.
    AtLeast(String),
}

/// A change of a channel's presence set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresenceChange<'a> {
    /// The member's client id.
    pub client_id: &'a str,
    /// One client can be a member over several connections.
    pub connection_id: &'a str,
    /// Whether the member is in the set after the change.
    pub present: bool,
    /// The member left because its connection was lost, and not by its own request.
    pub vanished: bool,
    /// When the change happened.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_recognised_by_their_message_id() {
        let stream: Arc<str> = "csession01".into();
        let seq = |id| EventRef::of_message(&stream, id).map(|event| event.seq);
        assert_eq!(seq("csession01:7"), Some(7));
        assert_eq!(seq("csession01:7:0"), Some(7));
        assert_eq!(seq("csession011:7"), None);
    }
}
