//! Names of rows for the operator: kind, session, position. Keys hold user ids, which are not shown.

use tandem_actors::{domain::ids::SessionId, keys::Key};

/// The session of an event, snapshot or outbox.
pub(super) fn session_of(key: &Key) -> Option<SessionId> {
    let (kind, rest) = key.as_bytes().split_first()?;
    let id = rest.split(|byte| *byte == 0).next()?;
    b"evsoc".contains(kind).then(|| std::str::from_utf8(id).ok()?.parse().ok()).flatten()
}

/// `event 12 of session c…`
pub(super) fn record(key: &Key) -> String {
    let bytes = key.as_bytes();
    let Some((kind, rest)) = bytes.split_first() else { return "a row without a key".into() };
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
    let session = |bytes: &[u8]| text(bytes)?.parse::<SessionId>().ok();
    let of = |what: &str, found: Option<SessionId>| match found {
        Some(session) => format!("{what} of session {session}"),
        None => what.to_owned(),
    };
    let upto_nul = |bytes: &'_ [u8]| bytes.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
    let after_nul = |bytes: &'_ [u8]| bytes.splitn(2, |byte| *byte == 0).nth(1).unwrap_or_default().to_vec();
    match kind {
        b'!' => format!("the store's own row {}", String::from_utf8_lossy(rest)),
        b'e' => {
            let seq = rest.last_chunk::<8>().map_or(0, |seq| u64::from_be_bytes(*seq));
            of(&format!("event {seq}"), session(&upto_nul(rest)))
        }
        b'v' => of("the mark of an announced event", session(&upto_nul(rest))),
        b'c' => of("the note of replaced events", session(&upto_nul(rest))),
        b's' => of("the snapshot", session(rest)),
        b'o' => of("the outbox", session(rest)),
        b'i' => "the row that names an invitation's session".into(),
        b'm' => of("a membership", session(&after_nul(rest))),
        b'l' => of("a place in a list", after_nul(rest).get(9..).and_then(session)),
        b'n' => of("an unread mark", session(&after_nul(rest))),
        b'a' => of("a waiting change of an account", session(&upto_nul(rest))),
        b'd' => of("a timer", rest.get(8..).and_then(|rest| session(&upto_nul(rest)))),
        b'q' => of("a waiting push", rest.get(8..).and_then(|rest| session(&upto_nul(rest)))),
        b'k' | b'x' => "a stored answer".into(),
        b'u' => "the row of a user".into(),
        b't' => "the row that names a push token's owner".into(),
        b'w' | b'W' => "a nickname".into(),
        b'E' | b'F' | b'G' => "the note of an erasure".into(),
        b'z' => of("the row that says since when a session is over", rest.get(8..).and_then(session)),
        b'Z' => of("the note of a removal", session(rest)),
        b'y' => "a row of the console".into(),
        b'p' => "a row of the push sender".into(),
        b'r' => "a row of the realtime endpoint".into(),
        _ => format!("a row of unknown kind {:?}", char::from(*kind)),
    }
}

#[cfg(test)]
mod tests {
    use tandem_actors::{
        domain::{stage::SessionStatus, time::Timestamp},
        keys,
    };

    use super::*;

    #[test]
    fn a_record_is_named_by_kind_and_session_and_no_user_is() {
        let session: SessionId = "cabcdefghijklmnopqrstuvwx".parse().expect("an id");
        let user = "user_anna".parse().expect("an id");
        for (key, name) in [
            (keys::event(&session, 12), format!("event 12 of session {session}")),
            (keys::snapshot(&session), format!("the snapshot of session {session}")),
            (keys::outbox(&session), format!("the outbox of session {session}")),
            (keys::membership(&user, &session), format!("a membership of session {session}")),
            (keys::unread(&user, &session), format!("an unread mark of session {session}")),
            (
                keys::listed(&user, SessionStatus::Active, Timestamp::from_millis(1), &session),
                format!("a place in a list of session {session}"),
            ),
            (keys::account_work(&session, &user), format!("a waiting change of an account of session {session}")),
            (keys::due(Timestamp::from_millis(1), &session, 3), format!("a timer of session {session}")),
            (
                keys::push_job(Timestamp::from_millis(1), &session, &user, 3),
                format!("a waiting push of session {session}"),
            ),
            (keys::profile(&user), "the row of a user".into()),
            (keys::meta("group"), "the store's own row group".into()),
        ] {
            assert_eq!(record(&key), name);
        }
    }
}
