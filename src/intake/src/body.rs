//! Reads the bodies of requests. A body may be compressed. It is limited in size and in time, and takes its share of
//! what all bodies together may take. A client that sends nothing, or next to nothing, is not waited for.
//!
//! Callers authenticate the client before they read.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{HttpRequest, dev::Payload, http::header, web::Data};
use bytes::Bytes;
use futures_util::StreamExt;

use crate::{
    budget::{Budget, Share},
    handle::Handle,
    inflate::Coding,
};

/// The sender of a body. Unknown clients cannot take the memory of known ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// A client that has authenticated itself.
    Known,
    /// Anybody: the route needs no credentials.
    Stranger,
}

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what it means, and names its fields")]
pub enum IntakeError {
    #[error("the body must not be larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the body did not come in time")]
    TooSlow,
    #[error("the body ended before it was complete")]
    Broken,
    #[error("the body must be sent plain, or with the content encoding gzip or deflate")]
    Encoding,
    #[error("the body is not in the encoding that its headers say")]
    Unreadable,
    #[error("too many bodies are being sent at the moment")]
    NoRoom,
}

impl IntakeError {
    /// The HTTP status that says so.
    pub fn status(self) -> u16 {
        match self {
            Self::TooLarge { .. } => 413,
            Self::TooSlow => 408,
            Self::Broken | Self::Unreadable => 400,
            Self::Encoding => 415,
            Self::NoRoom => 503,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::TooSlow => "too_slow",
            Self::Broken => "broken",
            Self::Encoding => "encoding",
            Self::Unreadable => "unreadable",
            Self::NoRoom => "no_room",
        }
    }
}

/// How long a body may take in addition to the time for its bytes at the least rate.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(10);
/// Bytes per second that a client must send.
pub const DEFAULT_LEAST_RATE: u64 = 2_048;
/// Bytes of bodies that may be under way.
pub const DEFAULT_BYTES: usize = 64 << 20;

/// The demands on bodies.
#[derive(Debug)]
pub struct Intake {
    /// How long a body may take in addition to the time for its bytes at the least rate.
    grace: Duration,
    /// Bytes per second.
    least_rate: u64,
    known: Arc<Budget>,
    strangers: Arc<Budget>,
}

impl Default for Intake {
    fn default() -> Self {
        Self::new(DEFAULT_GRACE, DEFAULT_LEAST_RATE, DEFAULT_BYTES)
    }
}

impl Intake {
    /// `bytes` is the memory for all bodies under way. A quarter of it is for strangers.
    pub fn new(grace: Duration, least_rate: u64, bytes: usize) -> Self {
        let strangers = Budget::new(bytes / 4);
        Self { grace, least_rate: least_rate.max(1), known: Budget::new(bytes - bytes / 4), strangers }
    }

    /// The demands of the application that serves the request, or the defaults.
    fn of(request: &HttpRequest) -> Arc<Self> {
        match request.app_data::<Data<Intake>>() {
            Some(intake) => intake.clone().into_inner(),
            None => Arc::default(),
        }
    }

    /// Bytes of bodies that are under way.
    pub fn bytes(&self) -> usize {
        self.known.taken() + self.strangers.taken()
    }

    fn share(&self, sender: Sender) -> Share {
        match sender {
            Sender::Known => self.known.share(),
            Sender::Stranger => self.strangers.share(),
        }
    }

    /// The time by which the next bytes must arrive.
    fn deadline(&self, begun: Instant, received: usize) -> Instant {
        let millis = (received as u64).saturating_mul(1_000) / self.least_rate;
        begun + self.grace + Duration::from_millis(millis)
    }
}

/// Reads a whole body of at most `limit` bytes, and inflates it.
///
/// # Errors
/// The error contains nothing of the body.
pub async fn read(
    request: &HttpRequest,
    payload: &mut Payload,
    limit: usize,
    sender: Sender,
) -> Result<Bytes, IntakeError> {
    if matches!(payload, Payload::None) {
        return Ok(Bytes::new());
    }
    let waiting = Handle::of(request).map(|handle| handle.waits_for_body());
    let outcome = receive(request, payload, limit, sender).await;
    drop(waiting);
    if let Err(error) = outcome {
        metrics::counter!("tandem_http_bodies_refused_total", "reason" => error.name()).increment(1);
    }
    outcome
}

async fn receive(
    request: &HttpRequest,
    payload: &mut Payload,
    limit: usize,
    sender: Sender,
) -> Result<Bytes, IntakeError> {
    let header = |name| request.headers().get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
    let announced = header(header::CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(IntakeError::TooLarge { limit });
    }
    let mut coding = Coding::of(header(header::CONTENT_ENCODING), limit)?;
    let intake = Intake::of(request);
    let (begun, mut received) = (Instant::now(), 0);
    let mut share = intake.share(sender);
    // Most bodies are one chunk, which is not copied.
    let mut only: Option<Bytes> = None;
    loop {
        let deadline = intake.deadline(begun, received);
        let next = tokio::time::timeout_at(deadline.into(), payload.next()).await;
        let Some(chunk) = next.map_err(|_| IntakeError::TooSlow)?.transpose().map_err(|_| IntakeError::Broken)? else {
            break;
        };
        received += chunk.len();
        let before = coding.len();
        match &mut only {
            None if received == chunk.len() && matches!(coding, Coding::Identity(_)) && chunk.len() <= limit => {
                if !share.grow(chunk.len()) {
                    return Err(IntakeError::NoRoom);
                }
                only = Some(chunk);
                continue;
            }
            first => {
                if let Some(first) = first.take() {
                    coding.take(&first)?;
                }
                coding.take(&chunk)?;
            }
        }
        if !share.grow(coding.len() - before) {
            return Err(IntakeError::NoRoom);
        }
    }
    match only {
        Some(whole) => Ok(whole),
        None => coding.finish().map(Bytes::from),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::{error::PayloadError, test::TestRequest};
    use futures_util::stream;

    use super::*;

    fn payload(chunks: impl IntoIterator<Item = &'static [u8]>) -> Payload {
        let chunks: Vec<_> = chunks.into_iter().map(|chunk| Ok::<_, PayloadError>(Bytes::from_static(chunk))).collect();
        Payload::Stream { payload: Box::pin(stream::iter(chunks)) }
    }

    fn request(intake: Intake) -> HttpRequest {
        TestRequest::post().app_data(Data::new(intake)).to_http_request()
    }

    async fn outcome(intake: Intake, mut payload: Payload, limit: usize) -> Result<Bytes, IntakeError> {
        read(&request(intake), &mut payload, limit, Sender::Stranger).await
    }

    fn patient() -> Intake {
        Intake::new(Duration::from_secs(10), 1_000, 1_000)
    }

    #[actix_web::test]
    async fn a_body_comes_whole_in_one_chunk_or_in_many() {
        for chunks in [vec![&b"a body"[..]], vec![b"a ", b"bo", b"dy"], vec![b"a", b" body"]] {
            assert_eq!(outcome(patient(), payload(chunks), 6).await.unwrap(), "a body");
        }
        assert_eq!(outcome(patient(), payload([]), 6).await.unwrap(), "");
        assert_eq!(outcome(patient(), Payload::None, 6).await.unwrap(), "");
    }

    #[actix_web::test]
    async fn reading_stops_at_a_body_that_is_too_large() {
        for chunks in [vec![&b"a body"[..]], vec![b"a ", b"bo", b"dy"]] {
            let refused = outcome(patient(), payload(chunks), 5).await;
            assert_eq!(refused.unwrap_err(), IntakeError::TooLarge { limit: 5 });
        }
    }

    #[actix_web::test]
    async fn a_body_that_does_not_arrive_in_time_is_refused() {
        let never: Payload = Payload::Stream { payload: Box::pin(stream::pending()) };
        let intake = Intake::new(Duration::from_millis(20), 1, 1_000);
        assert_eq!(outcome(intake, never, 5).await.unwrap_err(), IntakeError::TooSlow);
    }

    #[actix_web::test]
    async fn a_body_below_the_least_rate_is_refused() {
        let trickle = || -> Payload {
            let chunks = stream::iter(0..10).then(|_| async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Ok::<_, PayloadError>(Bytes::from_static(b"0123456789"))
            });
            Payload::Stream { payload: Box::pin(chunks) }
        };
        let demanding = Intake::new(Duration::from_millis(50), 10_000, 1_000);
        assert_eq!(outcome(demanding, trickle(), 500).await.unwrap_err(), IntakeError::TooSlow);
        let content = Intake::new(Duration::from_millis(50), 10, 1_000);
        assert_eq!(outcome(content, trickle(), 500).await.unwrap().len(), 100);
    }

    #[actix_web::test]
    async fn strangers_cannot_use_the_memory_of_authenticated_clients() {
        let intake = Intake::new(Duration::from_secs(10), 1, 400);
        let request = request(intake);
        let intake = Intake::of(&request);
        let mut strangers = intake.share(Sender::Stranger);
        assert!(strangers.grow(100));
        let refused = read(&request, &mut payload([&b"a body"[..]]), 10, Sender::Stranger).await;
        assert_eq!(refused.unwrap_err(), IntakeError::NoRoom);
        assert!(read(&request, &mut payload([&b"a body"[..]]), 10, Sender::Known).await.is_ok());
        assert_eq!(intake.bytes(), 100);
    }
}
