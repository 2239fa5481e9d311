//! Keeps an open page current: the page is rendered again every few moments, and the sections that changed are sent as
//! a server-sent event.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{HttpResponse, http::header};
use bytes::Bytes;
use futures_util::stream;
use tandem_actors::ports::StoreError;
use tokio::sync::OwnedSemaphorePermit;

use super::{Console, layout, shared::IDLE, sign_in::Operator, view::View};

/// The time between two renderings.
pub(super) const EVERY: Duration = Duration::from_secs(1);
/// After this many renderings without a change a comment is sent, so that browser and proxies keep the connection.
const QUIET: u32 = 15;

/// The largest number of pages that are kept current.
pub(super) const MOST: usize = 32;
/// The answer to further pages. Their browsers ask again after half a minute.
const FULL: &str = "retry: 30000\n\nevent: full\ndata:\n\n";

struct PageStream {
    console: Arc<Console>,
    view: View,
    operator: Operator,
    cookie: String,
    /// The content that the browser has, by section.
    shown: HashMap<&'static str, String>,
    quiet: u32,
    pause: Duration,
    begun: bool,
    /// The last rendering failed.
    is_failing: bool,
    _place: OwnedSemaphorePermit,
}

/// The answer to a browser's `EventSource`.
pub fn stream(console: Arc<Console>, view: View, operator: Operator, cookie: String) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CONTENT_TYPE, "text/event-stream")).insert_header(("x-accel-buffering", "no"));
    let Ok(place) = console.open_pages.clone().try_acquire_owned() else { return response.body(FULL) };
    let watching = PageStream {
        console,
        view,
        operator,
        cookie,
        shown: HashMap::new(),
        quiet: 0,
        pause: EVERY,
        begun: false,
        is_failing: false,
        _place: place,
    };
    let events = stream::unfold(watching, |mut watching| async move {
        let event = watching.next().await?;
        Some((Ok::<_, std::convert::Infallible>(event), watching))
    });
    response.streaming(events)
}

impl PageStream {
    /// The next event; `None` ends the stream.
    async fn next(&mut self) -> Option<Bytes> {
        if !self.begun {
            self.begun = true;
            return Some(Bytes::from_static(b"retry: 2000\n\n"));
        }
        loop {
            tokio::time::sleep(self.pause).await;
            let stopping = self.console.node.readiness.stopping.load(std::sync::atomic::Ordering::Acquire);
            if stopping || self.console.sign_ins.operator_of(&self.cookie).is_none() {
                return None;
            }
            let begun = Instant::now();
            let looked = self.changed().await;
            self.pause = EVERY.max(begun.elapsed() * IDLE);
            self.quiet += 1;
            let changed = match looked {
                Ok(changed) => changed,
                Err(error) => {
                    if !self.is_failing {
                        tracing::error!(%error, "an open page of the console cannot be read from the store");
                        (self.is_failing, self.quiet) = (true, 0);
                        return Some(Bytes::from_static(b"event: failing\ndata:\n\n"));
                    }
                    String::new()
                }
            };
            if !changed.is_empty() {
                self.quiet = 0;
                return Some(event(&changed));
            }
            if self.quiet >= QUIET {
                self.quiet = 0;
                return Some(Bytes::from_static(b":\n\n"));
            }
        }
    }

    /// The sections that changed since the last rendering. The first time it returns all, because the page may be
    /// older.
    async fn changed(&mut self) -> Result<String, StoreError> {
        let page = self.view.page(&self.console, &self.operator).await?;
        if std::mem::take(&mut self.is_failing) {
            // The store can be read again. All sections are sent, so that the page shows it.
            self.shown.clear();
        }
        let mut changed = String::new();
        for section in page.sections.iter().filter(|section| section.live) {
            let html = layout::part(section).into_string();
            if self.shown.get(section.id) != Some(&html) {
                changed += &html;
                self.shown.insert(section.id, html);
            }
        }
        Ok(changed)
    }
}

fn event(html: &str) -> Bytes {
    let lines = html.lines().map(|line| format!("data: {line}\n"));
    format!("event: sections\n{}\n", lines.collect::<String>()).into()
}
