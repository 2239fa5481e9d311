//! Server-sent events for the page, with what the node does not tell it: the notifications on the phones, and whether
//! the node runs.

use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

use actix_web::{HttpResponse, web};
use bytes::Bytes;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::{
    sync::watch,
    time::{Interval, interval},
};

use super::{Condition, Stage};

/// How often the stand-in for Expo is asked.
const GLANCE: Duration = Duration::from_millis(25);
/// After this many checks a comment is sent. Its failure shows that the page is gone.
const COMMENT: u32 = 200;

#[derive(Deserialize)]
pub struct Asked {
    /// Push tokens, separated by commas.
    devices: String,
}

#[derive(Serialize)]
struct Push<'a> {
    token: &'a str,
    title: &'a str,
    body: &'a str,
    data: &'a Value,
}

struct Feed {
    stage: Arc<Stage>,
    devices: Vec<String>,
    /// How many messages each place on a device has shown.
    shown: HashMap<(usize, usize), u32>,
    condition: watch::Receiver<Condition>,
    glances: Interval,
    quiet: u32,
    waiting: VecDeque<String>,
}

pub async fn open(stage: web::Data<Stage>, asked: web::Query<Asked>) -> HttpResponse {
    let mut condition = stage.condition.subscribe();
    condition.mark_changed();
    let feed = Feed {
        devices: asked.into_inner().devices.split(',').map(str::to_owned).collect(),
        shown: HashMap::new(),
        condition,
        glances: interval(GLANCE),
        quiet: 0,
        waiting: VecDeque::new(),
        stage: stage.into_inner(),
    };
    let events = stream::unfold(feed, |mut feed| async move {
        let event = feed.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(event)), feed))
    });
    HttpResponse::Ok().content_type("text/event-stream; charset=utf-8").streaming(Box::pin(events))
}

impl Feed {
    /// None when the demo ends.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                self.quiet = 0;
                return Some(event);
            }
            tokio::select! {
                changed = self.condition.changed() => {
                    changed.ok()?;
                    let condition = event("server", &*self.condition.borrow_and_update());
                    self.waiting.push_back(condition);
                }
                _ = self.glances.tick() => {
                    self.look();
                    self.quiet += 1;
                    if self.quiet > COMMENT {
                        self.quiet = 0;
                        return Some(":\n\n".to_owned());
                    }
                }
            }
        }
    }

    fn look(&mut self) {
        for (device, token) in self.devices.iter().enumerate() {
            let Some(view) = self.stage.expo.device(token) else { continue };
            for (place, notification) in view.notifications.iter().enumerate() {
                let shown = self.shown.entry((device, place)).or_default();
                if std::mem::replace(shown, notification.messages) == notification.messages {
                    continue;
                }
                let (title, body, data) = (&notification.title, &notification.body, &notification.data);
                self.waiting.push_back(event("push", &Push { token, title, body, data }));
            }
        }
    }
}

fn event(name: &str, data: &impl Serialize) -> String {
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("event: {name}\ndata: {data}\n\n")
}
