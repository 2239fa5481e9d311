//! A channel's presence set: members by connection and client id.

use std::{collections::BTreeMap, sync::Arc};

use crate::protocol::{ErrorInfo, MAX_FRAME_SIZE, PresenceAction, PresenceMessage};

type MemberKey = (Arc<str>, Arc<str>);

/// The members, in the form that new subscribers get.
#[derive(Debug, Default)]
pub struct Members {
    members: BTreeMap<MemberKey, PresenceMessage>,
    bytes: usize,
}

/// The limits of a presence set.
#[derive(Clone, Copy, Debug)]
pub struct PresenceLimits {
    pub members: usize,
    /// Of ids, data and extras.
    pub bytes: usize,
}

impl PresenceLimits {
    pub const ANY: Self = Self { members: usize::MAX, bytes: usize::MAX };
}

impl Members {
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Bytes of ids, data and extras.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &PresenceMessage> {
        self.members.values()
    }

    pub fn of_connection(&self, connection_id: &str) -> impl Iterator<Item = &PresenceMessage> {
        self.members.values().filter(move |member| *member.connection_id == *connection_id)
    }

    /// Applies the events of one frame, and returns those that subscribers get. A repetition, and a Leave of a
    /// non-member, are dropped. An Update from a non-member becomes an Enter, and an Enter of a member becomes an
    /// Update. A Leave without data gets the member's last data.
    ///
    /// # Errors
    /// 91003 if the set would exceed the limits. Nothing has changed then.
    pub fn apply(
        &mut self,
        events: Vec<PresenceMessage>,
        most: PresenceLimits,
    ) -> Result<Vec<PresenceMessage>, ErrorInfo> {
        let arriving = || events.iter().filter(|event| event.action != PresenceAction::Leave);
        let newcomers = arriving().filter(|event| !self.members.contains_key(&key(event)));
        if newcomers.count() + self.members.len() > most.members {
            let most = most.members;
            return Err(ErrorInfo::presence_members(format!(
                "the presence set is full: it has at most {most} members"
            )));
        }
        // The replaced data is not subtracted. An almost full set still accepts leaves and small updates.
        let more: usize = arriving().map(PresenceMessage::size).sum();
        if more > 0 && self.bytes + more > most.bytes {
            let most = most.bytes;
            return Err(ErrorInfo::presence_members(format!("the presence set is full: it has at most {most} bytes")));
        }
        let told = events.into_iter().filter_map(|event| self.take(event)).collect();
        debug_assert_eq!(self.bytes, self.iter().map(PresenceMessage::size).sum::<usize>());
        Ok(told)
    }

    fn take(&mut self, mut event: PresenceMessage) -> Option<PresenceMessage> {
        let key = key(&event);
        if event.action == PresenceAction::Leave {
            let member = self.members.remove(&key)?;
            self.bytes -= member.size();
            if event.payload.data.is_none() {
                event.payload = member.payload;
            }
            return Some(event);
        }
        match self.members.get(&key) {
            Some(member) if member.id == event.id => return None,
            Some(_) => event.action = PresenceAction::Update,
            None => event.action = PresenceAction::Enter,
        }
        self.bytes += event.size();
        if let Some(replaced) = self.members.insert(key, event.with_action(PresenceAction::Present)) {
            self.bytes -= replaced.size();
        }
        Some(event)
    }

    /// Removes members of a connection, or only the one with this client id. Returns their leaves, at most as many as
    /// fit in one frame. The ids do not begin with the connection's id, so SDKs order them by time. Empty if no
    /// member is left.
    pub fn leave(
        &mut self,
        connection_id: &str,
        client_id: Option<&str>,
        frame_id: &str,
        now: i64,
    ) -> Vec<PresenceMessage> {
        let mut leaves = Vec::new();
        let mut page = FrameRoom::default();
        let mut gone = 0;
        self.members.retain(|(owner, own_id), member| {
            let is_leaving = **owner == *connection_id && client_id.is_none_or(|id| **own_id == *id);
            let leaves_now = is_leaving && page.takes(member);
            if leaves_now {
                gone += member.size();
                let id = format!("{frame_id}:{}", leaves.len()).into();
                leaves.push(PresenceMessage {
                    action: PresenceAction::Leave,
                    id,
                    timestamp: now.max(member.timestamp),
                    ..member.clone()
                });
            }
            !leaves_now
        });
        self.bytes -= gone;
        debug_assert_eq!(self.bytes, self.iter().map(PresenceMessage::size).sum::<usize>());
        leaves
    }
}

/// The room of one frame for members.
#[derive(Default)]
pub struct FrameRoom {
    members: usize,
    bytes: usize,
}

impl FrameRoom {
    const MEMBERS: usize = 100;
    /// Of ids, data and extras. Base64 and escapes increase the size.
    const BYTES: usize = MAX_FRAME_SIZE / 4;

    /// Adds a member if there is room. The first member always fits.
    pub fn takes(&mut self, member: &PresenceMessage) -> bool {
        let bytes = self.bytes + member.size();
        let takes = self.members == 0 || self.members < Self::MEMBERS && bytes <= Self::BYTES;
        if takes {
            (self.members, self.bytes) = (self.members + 1, bytes);
        }
        takes
    }
}

impl FromIterator<PresenceMessage> for Members {
    fn from_iter<I: IntoIterator<Item = PresenceMessage>>(members: I) -> Self {
        let members: BTreeMap<_, _> = members.into_iter().map(|member| (key(&member), member)).collect();
        let bytes = members.values().map(PresenceMessage::size).sum();
        Self { members, bytes }
    }
}

fn key(event: &PresenceMessage) -> MemberKey {
    (event.connection_id.clone(), event.client_id.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Data, data::Payload};

    fn event(action: PresenceAction, id: &str, data: Option<&str>) -> PresenceMessage {
        PresenceMessage {
            action,
            id: id.into(),
            client_id: "alice".into(),
            connection_id: "conn".into(),
            timestamp: 1,
            payload: Payload { data: data.map(|text| Data::Text(text.into())), encoding: None },
            extras: None,
        }
    }

    fn most(members: usize) -> PresenceLimits {
        PresenceLimits { members, ..PresenceLimits::ANY }
    }

    #[test]
    fn a_presence_set_is_bounded_in_bytes_and_frees_those_of_leaving_members() {
        use PresenceAction::*;
        let mut members = Members::default();
        let most = PresenceLimits { bytes: 5_000, ..PresenceLimits::ANY };
        let enter = |n: usize, bytes: usize| PresenceMessage {
            client_id: format!("member-{n}").into(),
            ..event(Enter, &format!("conn:{n}:0"), Some(&"x".repeat(bytes)))
        };
        for n in 0..4 {
            members.apply(vec![enter(n, 1_000)], most).unwrap();
        }
        assert_eq!(members.apply(vec![enter(5, 1_000)], most).unwrap_err().code, 91003);
        let leave = PresenceMessage { client_id: "member-0".into(), ..event(Leave, "conn:9:0", None) };
        members.apply(vec![leave], most).unwrap();
        members.apply(vec![enter(5, 1_000)], most).unwrap();
        members.leave("conn", None, "server", 5);
        assert_eq!((members.len(), members.bytes()), (0, 0));
    }

    fn applied(members: &mut Members, event: PresenceMessage) -> Vec<(PresenceAction, Option<Data>)> {
        members
            .apply(vec![event], most(10))
            .unwrap()
            .into_iter()
            .map(|event| (event.action, event.payload.data))
            .collect()
    }

    #[test]
    fn members_events_are_normalised_and_delivered_once() {
        use PresenceAction::*;
        let mut members = Members::default();
        let data = |text: &str| Some(Data::Text(text.into()));
        assert_eq!(applied(&mut members, event(Leave, "conn:0:0", None)), []);
        assert_eq!(applied(&mut members, event(Update, "conn:1:0", Some("a"))), [(Enter, data("a"))]);
        assert_eq!(applied(&mut members, event(Enter, "conn:1:0", Some("a"))), [], "the same id again");
        assert_eq!(applied(&mut members, event(Enter, "conn:2:0", Some("a"))), [(Update, data("a"))], "entered anew");
        assert_eq!(applied(&mut members, event(Update, "conn:2:1", Some("b"))), [(Update, data("b"))]);
        assert_eq!(members.iter().map(|member| member.action).collect::<Vec<_>>(), [Present]);
        assert_eq!(applied(&mut members, event(Leave, "conn:3:0", None)), [(Leave, data("b"))]);
        assert!(members.is_empty());
    }

    #[test]
    fn a_leave_made_by_the_server_has_another_id_than_the_connections_own() {
        let mut members = Members::default();
        applied(&mut members, event(PresenceAction::Enter, "conn:1:0", None));
        assert_eq!(members.leave("other", None, "server", 5), []);
        assert_eq!(members.leave("conn", Some("bob"), "server", 5), []);
        let leaves = members.leave("conn", None, "server", 5);
        assert!(leaves.len() == 1 && !leaves[0].id.starts_with("conn"));
    }

    #[test]
    fn members_leave_in_frames_that_are_not_too_large() {
        let mut members = Members::default();
        let large = "x".repeat(60_000);
        for n in 0..5 {
            let client_id = format!("member-{n}").into();
            let enter = PresenceMessage { client_id, ..event(PresenceAction::Enter, "conn:1:0", Some(&large)) };
            members.apply(vec![enter], most(10)).unwrap();
        }
        let frames = std::iter::from_fn(|| Some(members.leave("conn", None, "server", 5).len()).filter(|n| *n > 0));
        assert_eq!(frames.collect::<Vec<_>>(), [2, 2, 1]);
    }

    #[test]
    fn a_full_set_takes_updates_and_no_newcomers() {
        let mut members = Members::default();
        members.apply(vec![event(PresenceAction::Enter, "conn:1:0", None)], most(1)).unwrap();
        let newcomer = PresenceMessage { client_id: "bob".into(), ..event(PresenceAction::Enter, "conn:2:0", None) };
        assert_eq!(members.apply(vec![newcomer], most(1)).unwrap_err().code, 91003);
        assert_eq!(members.apply(vec![event(PresenceAction::Update, "conn:3:0", None)], most(1)).unwrap().len(), 1);
    }
}
