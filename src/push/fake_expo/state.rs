//! The state of the stand-in.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::fault::Fault;
use crate::push::reach::Platform;

/// Requests that are kept.
const REQUESTS: usize = 5_000;
pub const DEFAULT_PROJECT: &str = "@tandem/app";

/// How the stand-in answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct FakeExpoSettings {
    /// A receipt appears this long after the send.
    #[serde(with = "humantime_serde")]
    pub receipt_delay: Duration,
    /// A receipt disappears this long after the send.
    #[serde(with = "humantime_serde")]
    pub receipt_ttl: Duration,
    /// Notifications per second and project.
    pub rate: u32,
    /// Whether unknown devices are registered.
    pub open: bool,
}

impl Default for FakeExpoSettings {
    fn default() -> Self {
        Self {
            receipt_delay: Duration::from_secs(1),
            receipt_ttl: Duration::from_secs(24 * 60 * 60),
            rate: 600,
            open: true,
        }
    }
}

/// The state of a project's credentials for FCM and APNs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Credentials {
    /// Expo accepts the credentials.
    #[default]
    Fine,
    /// The tickets report that the credentials are invalid.
    BrokenAtOnce,
    /// The receipts report that the credentials are invalid.
    BrokenLater,
}

/// A project, to which devices belong. A request may name devices of one project only.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct ProjectSetup {
    /// With enhanced push security, only this bearer token may send.
    pub access_token: Option<String>,
    /// Whether messages reach FCM and APNs.
    pub credentials: Credentials,
}

/// A device, and how messages to it end.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceSetup {
    /// For example `@tandem/app`.
    pub project: String,
    /// Not known, if left out.
    pub platform: Option<Platform>,
    /// Whether the app is installed.
    pub registered: bool,
    /// An error code that the ticket carries.
    pub ticket: Option<String>,
    /// An error code that the receipt carries.
    pub receipt: Option<String>,
    /// A message to it makes the service refuse its whole batch.
    pub poison: bool,
}

impl Default for DeviceSetup {
    fn default() -> Self {
        Self {
            project: DEFAULT_PROJECT.into(),
            platform: None,
            registered: true,
            ticket: None,
            receipt: None,
            poison: false,
        }
    }
}

/// A notification that a device shows.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// As in the message.
    pub title: String,
    /// As in the message.
    pub body: String,
    /// What the app gets.
    pub data: Value,
    /// The number for the app's icon; none leaves it as it is.
    pub badge: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    collapse: Option<String>,
    /// How many messages were shown here. Later messages replace earlier ones.
    pub messages: u32,
    /// How often it made a sound.
    pub alerts: u32,
}

/// The notifications that a device shows.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceView {
    /// The device's push token.
    pub token: String,
    /// Whether the app is installed.
    pub registered: bool,
    /// The number on the app's icon.
    pub badge: u64,
    /// The notifications on the device, the oldest first.
    pub notifications: Vec<Notification>,
}

struct Device {
    setup: DeviceSetup,
    shade: Vec<Notification>,
    badge: u64,
}

/// A request and its answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SeenRequest {
    /// The path without the query.
    pub path: String,
    /// Milliseconds since 1970, by the stand-in's clock.
    pub at_millis: u64,
    /// Whether the body was compressed.
    pub gzip: bool,
    /// Whether the request had a bearer token.
    pub bearer: bool,
    /// The request's JSON.
    pub body: Value,
    /// 0: no answer.
    pub status: u16,
}

struct Receipt {
    ready_at: Duration,
    gone_at: Duration,
    says: Value,
}

#[derive(Default)]
pub struct FakeExpoState {
    pub settings: FakeExpoSettings,
    pub faults: Vec<Fault>,
    pub projects: HashMap<String, ProjectSetup>,
    pub requests: VecDeque<SeenRequest>,
    devices: BTreeMap<String, Device>,
    receipts: HashMap<String, Receipt>,
    /// Notifications of each project in the current second.
    sent: HashMap<String, (u64, u32)>,
    advanced: Duration,
    tickets: u64,
}

impl FakeExpoState {
    pub fn now(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + self.advanced
    }

    pub fn advance(&mut self, by: Duration) {
        self.advanced += by;
    }

    pub fn saw(&mut self, seen: SeenRequest) {
        if self.requests.len() >= REQUESTS {
            self.requests.pop_front();
        }
        self.requests.push_back(seen);
    }

    pub fn set_device(&mut self, token: &str, setup: DeviceSetup) {
        match self.devices.get_mut(token) {
            Some(device) => device.setup = setup,
            None => {
                self.devices.insert(token.into(), Device { setup, shade: Vec::new(), badge: 0 });
            }
        }
    }

    pub fn setup(&self, token: &str) -> DeviceSetup {
        let unknown = || DeviceSetup { registered: self.settings.open, ..DeviceSetup::default() };
        self.devices.get(token).map_or_else(unknown, |device| device.setup.clone())
    }

    pub fn view(&self, token: &str) -> Option<DeviceView> {
        let device = self.devices.get(token)?;
        Some(DeviceView {
            token: token.into(),
            registered: device.setup.registered,
            badge: device.badge,
            notifications: device.shade.clone(),
        })
    }

    pub fn views(&self) -> Vec<DeviceView> {
        self.devices.keys().filter_map(|token| self.view(token)).collect()
    }

    /// Whether the project may send this many more in the current second.
    pub fn within_rate(&mut self, project: &str, recipients: u32) -> bool {
        let second = self.now().as_secs();
        let limit = self.settings.rate;
        let sent = self.sent.entry(project.into()).or_insert((second, 0));
        if sent.0 != second {
            *sent = (second, 0);
        }
        sent.1 += recipients;
        sent.1 <= limit
    }

    /// Takes one message for one recipient. Returns the ticket.
    pub fn accept(&mut self, token: &str, message: &Value) -> Value {
        let setup = self.setup(token);
        let credentials = self.projects.get(&setup.project).map(|project| project.credentials).unwrap_or_default();
        let shown = json!({"title": message["title"], "body": message["body"], "data": message["data"]});
        let refusal = if !setup.registered {
            Some("DeviceNotRegistered".to_owned())
        } else if shown.to_string().len() > 4096 {
            Some("MessageTooBig".to_owned())
        } else if credentials == Credentials::BrokenAtOnce {
            Some("InvalidCredentials".to_owned())
        } else {
            setup.ticket.clone()
        };
        if let Some(code) = refusal {
            return error(&code, token);
        }
        let later = match credentials {
            Credentials::BrokenLater => Some("InvalidCredentials".to_owned()),
            _ => setup.receipt.clone(),
        };
        let says = match &later {
            Some(code) => error(code, token),
            None => json!({"status": "ok"}),
        };
        if later.is_none() {
            self.show(token, &setup, message);
        }
        self.tickets += 1;
        let id = format!("{:08x}-{:04x}-4000-8000-{:012x}", rand::random::<u32>(), rand::random::<u16>(), self.tickets);
        let (ready_at, gone_at) = (self.now() + self.settings.receipt_delay, self.now() + self.settings.receipt_ttl);
        self.receipts.insert(id.clone(), Receipt { ready_at, gone_at, says });
        json!({"status": "ok", "id": id})
    }

    fn show(&mut self, token: &str, setup: &DeviceSetup, message: &Value) {
        let text = |key: &str| message[key].as_str().unwrap_or_default().to_owned();
        let collapse = match setup.platform {
            Some(Platform::Android) => message["tag"].as_str(),
            Some(Platform::Ios) => message["collapseId"].as_str(),
            None => message["collapseId"].as_str().or(message["tag"].as_str()),
        };
        let mut notification = Notification {
            title: text("title"),
            body: text("body"),
            data: message["data"].clone(),
            badge: message["badge"].as_u64(),
            collapse: collapse.map(Into::into),
            messages: 1,
            alerts: u32::from(message["sound"].is_string()),
        };
        let new = || Device { setup: setup.clone(), shade: Vec::new(), badge: 0 };
        let device = self.devices.entry(token.into()).or_insert_with(new);
        device.badge = notification.badge.unwrap_or(device.badge);
        let same = |shown: &&mut Notification| shown.collapse.is_some() && shown.collapse == notification.collapse;
        match device.shade.iter_mut().find(same) {
            Some(shown) => {
                notification.messages += shown.messages;
                notification.alerts += shown.alerts;
                *shown = notification;
            }
            None => device.shade.push(notification),
        }
    }

    /// The receipt of a ticket, if it is available.
    pub fn receipt(&self, ticket: &str) -> Option<Value> {
        let now = self.now();
        self.receipts
            .get(ticket)
            .filter(|receipt| receipt.ready_at <= now && now < receipt.gone_at)
            .map(|receipt| receipt.says.clone())
    }
}

/// A ticket or receipt with an error.
pub fn error(code: &str, token: &str) -> Value {
    json!({
        "status": "error",
        "message": format!("\"{token}\" could not be notified: {code}"),
        "details": {"error": code, "expoPushToken": token},
    })
}
