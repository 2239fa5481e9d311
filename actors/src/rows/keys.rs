//! The layout of the store: one ordered key space, one byte of prefix for each kind of row. Identifiers hold no NUL, so
//! NUL separates the parts. Numbers are big-endian, so that they sort.

use crate::domain::{
    ids::{InvitationId, Seq, SessionId, UserId},
    stage::SessionStatus,
    time::Timestamp,
};
use crate::ports::Change;
pub use crate::ports::Key;

/// Facts about the store itself: schema version, node epoch, generated secrets' fingerprints.
pub fn meta(name: &str) -> Key {
    Key::of_parts(b'!', &[name.as_bytes()])
}

/// One event of a session.
pub fn event(session: &SessionId, seq: Seq) -> Key {
    Key::of_parts(b'e', &[session.as_str().as_bytes(), b"\0", &seq.to_be_bytes()])
}

/// All events of a session, in order.
pub fn events(session: &SessionId) -> Key {
    Key::of_parts(b'e', &[session.as_str().as_bytes(), b"\0"])
}

/// All events of all sessions, one session after the other.
pub fn all_events() -> Key {
    Key::of_parts(b'e', &[])
}

/// The place under [`all_events`] after the last possible event of a session.
pub fn end_of_events(session: &SessionId) -> Key {
    Key::of_parts(b'e', &[session.as_str().as_bytes(), b"\x01"])
}

/// The session of a key under [`all_events`] or [`all_snapshots`].
pub fn session_of_log(key: &Key) -> Option<SessionId> {
    let id = key.as_bytes().get(1..)?.split(|byte| *byte == 0).next()?;
    std::str::from_utf8(id).ok()?.parse().ok()
}

/// Marks an event as announced.
pub fn visible_event(session: &SessionId, seq: Seq) -> Key {
    Key::of_parts(b'v', &[session.as_str().as_bytes(), b"\0", &seq.to_be_bytes()])
}

/// The announced events of a session, in order.
pub fn visible_events(session: &SessionId) -> Key {
    Key::of_parts(b'v', &[session.as_str().as_bytes(), b"\0"])
}

/// The `seq` of a key under [`events`] or [`visible_events`].
pub fn seq_of(key: &Key) -> Option<Seq> {
    key.as_bytes().last_chunk().map(|seq| Seq::from_be_bytes(*seq))
}

/// Which events of a block of numbers were taken out of a session's log.
pub fn compacted(session: &SessionId, block: u64) -> Key {
    Key::of_parts(b'c', &[session.as_str().as_bytes(), b"\0", &block.to_be_bytes()])
}

/// Which events were taken out of a session's log, block by block.
pub fn compacted_of(session: &SessionId) -> Key {
    Key::of_parts(b'c', &[session.as_str().as_bytes(), b"\0"])
}

/// The state of a session at some `seq`; events after it are replayed on top.
pub fn snapshot(session: &SessionId) -> Key {
    Key::of_parts(b's', &[session.as_str().as_bytes()])
}

/// The snapshots of all sessions.
pub fn all_snapshots() -> Key {
    Key::of_parts(b's', &[])
}

/// The outbox of a session; absent when nothing is outstanding.
pub fn outbox(session: &SessionId) -> Key {
    Key::of_parts(b'o', &[session.as_str().as_bytes()])
}

/// All outboxes.
pub fn outboxes() -> Key {
    Key::of_parts(b'o', &[])
}

/// The session of a key under [`outboxes`].
pub fn session_of_outbox(key: &Key) -> Option<SessionId> {
    std::str::from_utf8(key.as_bytes().get(1..)?).ok()?.parse().ok()
}

/// An invitation's session.
pub fn invitation(invitation: &InvitationId) -> Key {
    Key::of_parts(b'i', &[invitation.as_str().as_bytes()])
}

/// The invitations of all sessions.
pub fn invitations() -> Key {
    Key::of_parts(b'i', &[])
}

/// A user's membership of a session.
pub fn membership(user: &UserId, session: &SessionId) -> Key {
    Key::of_parts(b'm', &[user.as_str().as_bytes(), b"\0", session.as_str().as_bytes()])
}

/// All sessions of a user.
pub fn memberships(user: &UserId) -> Key {
    Key::of_parts(b'm', &[user.as_str().as_bytes(), b"\0"])
}

/// A session's place in a user's list, among those of one shown status: the newest change first, then by id.
pub fn listed(user: &UserId, status: SessionStatus, changed_at: Timestamp, session: &SessionId) -> Key {
    let newest_first = !(changed_at.as_millis().cast_unsigned() ^ (1 << 63));
    Key::of_parts(
        b'l',
        &[
            user.as_str().as_bytes(),
            b"\0",
            &[status_number(status)],
            &newest_first.to_be_bytes(),
            session.as_str().as_bytes(),
        ],
    )
}

/// A user's sessions of one shown status.
pub fn listed_as(user: &UserId, status: SessionStatus) -> Key {
    Key::of_parts(b'l', &[user.as_str().as_bytes(), b"\0", &[status_number(status)]])
}

/// Time of change and session of a key under [`listed_as`].
pub fn parse_listed(key: &Key, prefix: &Key) -> Option<(Timestamp, SessionId)> {
    let (at, session) = key.as_bytes().get(prefix.as_bytes().len()..)?.split_first_chunk::<8>()?;
    let millis = (!u64::from_be_bytes(*at) ^ (1 << 63)).cast_signed();
    Some((Timestamp::from_millis(millis), std::str::from_utf8(session).ok()?.parse().ok()?))
}

/// The places of all sessions in all users' lists.
pub fn all_listed() -> Key {
    Key::of_parts(b'l', &[])
}

/// User, time of change and session of a key under [`all_listed`].
pub fn parse_any_listed(key: &Key) -> Option<(UserId, Timestamp, SessionId)> {
    let behind = key.as_bytes().get(1..)?;
    let end = behind.iter().position(|byte| *byte == 0)?;
    let user: UserId = std::str::from_utf8(&behind[..end]).ok()?.parse().ok()?;
    // The user, a zero and the status stand before the time.
    let prefix = Key::of_parts(b'l', &[behind.get(..end + 2)?]);
    let (at, session) = parse_listed(key, &prefix)?;
    Some((user, at, session))
}

/// The number of a status in keys. A number is never used for another status.
const fn status_number(status: SessionStatus) -> u8 {
    match status {
        SessionStatus::Created => 1,
        SessionStatus::Invited => 2,
        SessionStatus::Active => 3,
        SessionStatus::Paused => 4,
        SessionStatus::Waiting => 5,
        SessionStatus::Resolved => 6,
        SessionStatus::Abandoned => 7,
        SessionStatus::Archived => 8,
    }
}

/// Marks a session as unread by a user.
pub fn unread(user: &UserId, session: &SessionId) -> Key {
    Key::of_parts(b'n', &[user.as_str().as_bytes(), b"\0", session.as_str().as_bytes()])
}

/// All unread sessions of a user.
pub fn unread_of(user: &UserId) -> Key {
    Key::of_parts(b'n', &[user.as_str().as_bytes(), b"\0"])
}

/// The account operations of a user that wait for a session.
pub fn account_work(session: &SessionId, user: &UserId) -> Key {
    Key::of_parts(b'a', &[session.as_str().as_bytes(), b"\0", user.as_str().as_bytes()])
}

/// All account operations that wait for a session.
pub fn account_work_of(session: &SessionId) -> Key {
    Key::of_parts(b'a', &[session.as_str().as_bytes(), b"\0"])
}

/// All account operations that wait.
pub fn all_account_work() -> Key {
    Key::of_parts(b'a', &[])
}

/// The session of a key under [`all_account_work`].
pub fn session_of_account_work(key: &Key) -> Option<SessionId> {
    let behind = key.as_bytes().get(1..)?;
    let end = behind.iter().position(|byte| *byte == 0)?;
    std::str::from_utf8(&behind[..end]).ok()?.parse().ok()
}

/// The session of a key under [`memberships`].
pub fn session_of_membership(key: &Key, prefix: &Key) -> Option<SessionId> {
    std::str::from_utf8(key.as_bytes().get(prefix.as_bytes().len()..)?).ok()?.parse().ok()
}

/// User and session of a key under [`all_memberships`].
pub fn parse_membership(key: &Key) -> Option<(UserId, SessionId)> {
    let text = std::str::from_utf8(key.as_bytes().get(1..)?).ok()?;
    let (user, session) = text.rsplit_once('\0')?;
    Some((user.parse().ok()?, session.parse().ok()?))
}

/// Says that each session has its index rows. Without it, the next start of the node writes them.
pub fn index_marker() -> Key {
    meta("index")
}

/// The prefixes of the index rows that are only right if nothing is left of an earlier state: places in lists, unread
/// marks, announced events.
pub fn all_index_rows() -> [Key; 3] {
    [b'l', b'n', b'v'].map(|prefix| Key::of_parts(prefix, &[]))
}

/// All memberships of all users.
pub fn all_memberships() -> Key {
    Key::of_parts(b'm', &[])
}

/// The stored answer for a user's idempotency key; `digest` is SHA-256 of the key.
pub fn idempotent_answer(user: &UserId, digest: &[u8; 32]) -> Key {
    Key::of_parts(b'k', &[user.as_str().as_bytes(), b"\0", digest])
}

/// All stored answers of one user.
pub fn idempotent_answers_of(user: &UserId) -> Key {
    Key::of_parts(b'k', &[user.as_str().as_bytes(), b"\0"])
}

/// All stored answers.
pub fn idempotent_answers() -> Key {
    Key::of_parts(b'k', &[])
}

/// The index of stored answers by time, the oldest first.
pub fn answer_by_time(at: Timestamp, user: &UserId, digest: &[u8; 32]) -> Key {
    Key::of_parts(b'x', &[&at.as_millis().to_be_bytes(), user.as_str().as_bytes(), b"\0", digest])
}

/// All stored answers by time.
pub fn answers_by_time() -> Key {
    Key::of_parts(b'x', &[])
}

/// Time and row of a key under [`answers_by_time`].
pub fn parse_answer_by_time(key: &Key) -> Option<(Timestamp, Key)> {
    let (at, answer) = key.as_bytes().get(1..)?.split_first_chunk::<8>()?;
    Some((Timestamp::from_millis(i64::from_be_bytes(*at)), Key::of_parts(b'k', &[answer])))
}

/// The key by time of a row under [`idempotent_answers`] that was stored at this time.
pub fn by_time(answer: &Key, at: Timestamp) -> Key {
    Key::of_parts(b'x', &[&at.as_millis().to_be_bytes(), answer.as_bytes().get(1..).unwrap_or_default()])
}

/// A user's name and address.
pub fn profile(user: &UserId) -> Key {
    Key::of_parts(b'u', &[user.as_str().as_bytes(), b"\0profile"])
}

/// All rows of all users: [`profile`] and [`signed_out`].
pub fn accounts() -> Key {
    Key::of_parts(b'u', &[])
}

/// The user of a [`profile`].
pub fn user_of_profile(key: &Key) -> Option<UserId> {
    let user = key.as_bytes().get(1..)?.strip_suffix(b"\0profile")?;
    std::str::from_utf8(user).ok()?.parse().ok()
}

/// When a user without a profile was signed out. It outlives the profile.
pub fn signed_out(user: &UserId) -> Key {
    Key::of_parts(b'u', &[user.as_str().as_bytes(), b"\0signed-out"])
}

/// Notes that an account was erased, and that what it held may still be in the store's files.
pub fn note_erasure(at: Timestamp, user: &UserId) -> Change {
    let key = Key::of_parts(b'E', &[&at.as_millis().to_be_bytes(), user.as_str().as_bytes()]);
    Change::Put(key, bytes::Bytes::new())
}

/// The same for a session that was removed. `at` is when the age of the note begins to count.
pub fn note_removal(at: Timestamp, session: &SessionId) -> Change {
    let key = Key::of_parts(b'E', &[&at.as_millis().to_be_bytes(), b"\0", session.as_str().as_bytes()]);
    Change::Put(key, bytes::Bytes::new())
}

/// The account that was erased last at this time. A restore of an earlier state erases it again.
pub fn erased(user: &UserId, at: Timestamp) -> Change {
    let key = Key::of_parts(b'F', &[user.as_str().as_bytes()]);
    Change::Put(key, bytes::Bytes::copy_from_slice(&at.as_millis().to_be_bytes()))
}

/// All accounts that were erased.
pub fn all_erased() -> Key {
    Key::of_parts(b'F', &[])
}

/// User and time of a row under [`all_erased`]; `None` for any other.
pub fn parse_erased(key: &Key, value: &[u8]) -> Option<(UserId, Timestamp)> {
    let user = key.as_bytes().strip_prefix(b"F")?;
    let at = Timestamp::from_millis(i64::from_be_bytes(value.try_into().ok()?));
    Some((std::str::from_utf8(user).ok()?.parse().ok()?, at))
}

/// An account that was erased after the state that was restored: the next start erases it again.
pub fn to_erase(user: &UserId) -> Key {
    Key::of_parts(b'G', &[user.as_str().as_bytes()])
}

/// All such accounts.
pub fn all_to_erase() -> Key {
    Key::of_parts(b'G', &[])
}

/// The user of a key under [`all_to_erase`].
pub fn user_to_erase(key: &Key) -> Option<UserId> {
    std::str::from_utf8(key.as_bytes().get(1..)?).ok()?.parse().ok()
}

/// All erasures and removals that are noted, the oldest first.
pub fn erasures() -> Key {
    Key::of_parts(b'E', &[])
}

/// Whether the change notes an erasure or a removal.
pub fn is_erasure(change: &Change) -> bool {
    matches!(change, Change::Put(key, _) if key.as_bytes().starts_with(b"E"))
}

/// The time of a key under [`erasures`].
pub fn time_of_erasure(key: &Key) -> Option<Timestamp> {
    let (at, _) = key.as_bytes().get(1..)?.split_first_chunk::<8>()?;
    Some(Timestamp::from_millis(i64::from_be_bytes(*at)))
}

/// The user of a key under [`erasures`]. `None` for a session that was removed.
pub fn user_of_erasure(key: &Key) -> Option<&[u8]> {
    key.as_bytes().get(9..).filter(|user| user.first() != Some(&0))
}

/// The nickname that a user gave to a person.
pub fn nickname(user: &UserId, person: &UserId) -> Key {
    Key::of_parts(b'w', &[user.as_str().as_bytes(), b"\0", person.as_str().as_bytes()])
}

/// All nicknames that a user has given.
pub fn nicknames_of(user: &UserId) -> Key {
    Key::of_parts(b'w', &[user.as_str().as_bytes(), b"\0"])
}

/// The index from a person to the users who gave the person a nickname.
pub fn nicknamed(person: &UserId, user: &UserId) -> Key {
    Key::of_parts(b'W', &[person.as_str().as_bytes(), b"\0", user.as_str().as_bytes()])
}

/// All users who have given the person a nickname.
pub fn nicknamers_of(person: &UserId) -> Key {
    Key::of_parts(b'W', &[person.as_str().as_bytes(), b"\0"])
}

/// The owner of a push token; `digest` is SHA-256 of the token.
pub fn push_token(digest: &[u8; 32]) -> Key {
    Key::of_parts(b't', &[digest])
}

/// A session's timer. The value names the timer, so that a session has one row for each time and `timer` number.
pub fn due(at: Timestamp, session: &SessionId, timer: u8) -> Key {
    Key::of_parts(b'd', &[&at.as_millis().to_be_bytes(), session.as_str().as_bytes(), b"\0", &[timer]])
}

/// All timers, the earliest first.
pub fn all_due() -> Key {
    Key::of_parts(b'd', &[])
}

/// Time, session and number of a timer's key.
pub fn parse_due(key: &Key) -> Option<(Timestamp, SessionId, u8)> {
    let (at, rest) = key.as_bytes().get(1..)?.split_first_chunk::<8>()?;
    let [session @ .., 0, timer] = rest else { return None };
    let session = std::str::from_utf8(session).ok()?.parse().ok()?;
    Some((Timestamp::from_millis(i64::from_be_bytes(*at)), session, *timer))
}

/// A session that is over, by the time since when.
pub fn over(since: Timestamp, session: &SessionId) -> Key {
    Key::of_parts(b'z', &[&since.as_millis().to_be_bytes(), session.as_str().as_bytes()])
}

/// All sessions that are over, the earliest first.
pub fn all_over() -> Key {
    Key::of_parts(b'z', &[])
}

/// Time and session of a key under [`all_over`].
pub fn parse_over(key: &Key) -> Option<(Timestamp, SessionId)> {
    let (since, session) = key.as_bytes().get(1..)?.split_first_chunk::<8>()?;
    Some((Timestamp::from_millis(i64::from_be_bytes(*since)), std::str::from_utf8(session).ok()?.parse().ok()?))
}

/// A session that was removed, and of which other rooms may still have rows. The value names its participants.
pub fn removed(session: &SessionId) -> Key {
    Key::of_parts(b'Z', &[session.as_str().as_bytes()])
}

/// All such sessions.
pub fn all_removed() -> Key {
    Key::of_parts(b'Z', &[])
}

/// The session of a key under [`all_removed`].
pub fn session_of_removed(key: &Key) -> Option<SessionId> {
    std::str::from_utf8(key.as_bytes().get(1..)?).ok()?.parse().ok()
}

/// A push that waits to be sent at `at`, the earliest first.
pub fn push_job(at: Timestamp, session: &SessionId, user: &UserId, seq: Seq) -> Key {
    Key::of_parts(
        b'q',
        &[
            &at.as_millis().to_be_bytes(),
            session.as_str().as_bytes(),
            b"\0",
            user.as_str().as_bytes(),
            b"\0",
            &seq.to_be_bytes(),
        ],
    )
}

/// All waiting pushes, the earliest first.
pub fn push_jobs() -> Key {
    Key::of_parts(b'q', &[])
}

/// The session of a key under [`push_jobs`].
pub fn session_of_push_job(key: &Key) -> Option<SessionId> {
    let behind_time = key.as_bytes().get(1 + 8..)?;
    std::str::from_utf8(behind_time.split(|byte| *byte == 0).next()?).ok()?.parse().ok()
}

/// A row of the operator's console.
pub fn console(name: &str) -> Key {
    Key::of_parts(b'y', &[name.as_bytes()])
}

/// A row of the push sender (attempts, receipts, breakers).
pub fn push(parts: &[&[u8]]) -> Key {
    Key::of_parts(b'p', parts)
}

/// A row of the embedded realtime endpoint (channel logs, connection states).
pub fn realtime(parts: &[&[u8]]) -> Key {
    Key::of_parts(b'r', parts)
}
