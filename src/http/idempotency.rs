//! `Idempotency-Key`: a client that does not know whether its request arrived repeats it with the same key and gets the
//! same answer. Sessions store their answers in the same batch as their events. This module reads the header, and
//! stores the answers of routes without a session.

use actix_web::{HttpRequest, http::header::HeaderName};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use tandem_actors::{
    CommandReply, IdempotencyKey,
    domain::{Rejection, ids::UserId},
    idempotency::{self, StoredAnswer},
};

use super::{AppState, error::ApiError};

pub const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The request's key, if it has one.
pub fn key(request: &HttpRequest, body: &[u8]) -> Result<Option<IdempotencyKey>, ApiError> {
    let Some(value) = request.headers().get(HEADER) else { return Ok(None) };
    let key = value.as_bytes();
    if !(1..=255).contains(&key.len()) || !key.iter().all(u8::is_ascii_graphic) {
        let found = format_args!("{} bytes", key.len()).to_string();
        return Err(Rejection::invalid("Idempotency-Key", found, "1 to 255 visible ASCII characters").into());
    }
    // `/api/v1/…` and `/api/…` are the same route.
    let path = request.path();
    let path = path.strip_prefix("/api/v1").or_else(|| path.strip_prefix("/api")).unwrap_or(path);
    let mut digest = Sha256::new();
    digest.update(request.method().as_str());
    digest.update([0]);
    digest.update(path);
    digest.update([0]);
    digest.update(body);
    Ok(Some(IdempotencyKey { digest: Sha256::digest(key).into(), request: digest.finalize().into() }))
}

/// For routes without a session: returns the stored answer, or does the work and stores its answer. `work` must be
/// repeatable, because the node may die before the answer is stored. The answer is stored as it is, so it must not hold
/// private text.
pub async fn once<F>(
    state: &AppState,
    user: &UserId,
    key: Option<IdempotencyKey>,
    work: F,
) -> Result<CommandReply, ApiError>
where
    F: Future<Output = Result<Bytes, ApiError>>,
{
    let Some(key) = key else { return Ok(fresh(work.await?)) };
    if let Some(stored) =
        idempotency::find(&*state.store, user, &key, state.clock.now(), state.coordinator.answers_kept_for())?
    {
        return Ok(stored.replay(&key)?);
    }
    let reply = fresh(work.await?);
    let stored = StoredAnswer::without_session(&key, &reply, state.clock.now());
    state.journal.write(vec![stored.change(user, &key), stored.change_by_time(user, &key)]).await?;
    Ok(reply)
}

fn fresh(data: Bytes) -> CommandReply {
    CommandReply { created: false, data, replayed: false }
}
