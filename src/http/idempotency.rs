//! `Idempotency-Key`: a client that does not know whether its request arrived sends it again with the same key and gets
//! the same answer. The sessions keep their own answers, in the same batch as what they answer for; this file reads the
//! header, and keeps answers for the routes that no session serves.

use actix_web::{HttpRequest, http::header::HeaderName};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use tandem_actors::{
    IdempotencyKey, Reply,
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
    // The same route has two addresses.
    let path = request.path();
    let path = path.strip_prefix("/api/v1").or_else(|| path.strip_prefix("/api")).unwrap_or(path);
    let mut meant = Sha256::new();
    meant.update(request.method().as_str());
    meant.update([0]);
    meant.update(path);
    meant.update([0]);
    meant.update(body);
    Ok(Some(IdempotencyKey { digest: Sha256::digest(key).into(), request: meant.finalize().into() }))
}

/// For routes that no session serves: the stored answer, or what `work` answers, stored. `work` must bear being
/// repeated: the node may die between it and the storing. Its answer is stored as it is, so it must not hold anybody's words.
pub async fn once<F>(state: &AppState, user: &UserId, key: Option<IdempotencyKey>, work: F) -> Result<Reply, ApiError>
where
    F: Future<Output = Result<Bytes, ApiError>>,
{
    let Some(key) = key else { return Ok(fresh(work.await?)) };
    if let Some(stored) = idempotency::find(&*state.store, user, &key, state.clock.now())? {
        return Ok(stored.replay(&key)?);
    }
    let reply = fresh(work.await?);
    let stored = StoredAnswer::without_session(&key, &reply, state.clock.now());
    state.journal.write(vec![stored.change(user, &key), stored.change_by_time(user, &key)]).await?;
    Ok(reply)
}

fn fresh(data: Bytes) -> Reply {
    Reply { created: false, data, replayed: false }
}
