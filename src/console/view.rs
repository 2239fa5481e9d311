//! Finds the page of a request, and defines the parts of a page.

use actix_web::{HttpRequest, web::Query};
use maud::Markup;
use serde::Deserialize;
use tandem_actors::{
    domain::ids::{InvitationId, SessionId},
    ports::StoreError,
};

use super::{
    Console,
    pages::{self, realtime::TestMessage},
    sign_in::Operator,
};

/// A page, with the object that it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum View {
    Now,
    /// The searched text.
    Sessions(String),
    Session(String),
    People(String),
    Realtime,
    Push,
    Backups,
    Settings,
    Changes,
}

/// The content of a page.
pub struct Page {
    pub title: String,
    pub sections: Vec<Section>,
}

/// A part of a page.
pub struct Section {
    /// Its `id` in the document.
    pub id: &'static str,
    /// Whether it is replaced when it changes. A section with a form is not: somebody may be filling it in.
    pub live: bool,
    pub content: Markup,
}

impl Section {
    pub fn live(id: &'static str, content: Markup) -> Self {
        Self { id, live: true, content }
    }

    pub fn fixed(id: &'static str, content: Markup) -> Self {
        Self { id, live: false, content }
    }
}

#[derive(Deserialize)]
struct About {
    #[serde(default)]
    find: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    user: String,
}

impl View {
    /// The page that a request asks for, if there is one at its path.
    pub fn of(request: &HttpRequest) -> Option<Self> {
        let about = Query::<About>::from_query(request.query_string()).ok()?.into_inner();
        let trimmed = |text: String| text.trim().to_owned();
        Some(match request.path().trim_end_matches('/') {
            "/console" => Self::Now,
            "/console/sessions" => Self::Sessions(trimmed(about.find)),
            "/console/session" => Self::Session(trimmed(about.id)),
            "/console/people" => Self::People(trimmed(about.user)),
            // This page also answers a pasted token, and a message that was not published.
            "/console/realtime" | "/console/rights" | "/console/publish" => Self::Realtime,
            "/console/push" => Self::Push,
            "/console/backups" => Self::Backups,
            "/console/settings" => Self::Settings,
            "/console/changes" => Self::Changes,
            _ => return None,
        })
    }

    /// Renders the page with the present state of the node.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn page(&self, console: &Console, operator: &Operator) -> Result<Page, StoreError> {
        match self {
            Self::Now => pages::now::page(console).await,
            Self::Sessions(find) => pages::sessions::page(console, find).await,
            Self::Session(id) => pages::session::page(console, operator, id).await,
            Self::People(user) => pages::people::page(console, operator, user).await,
            Self::Realtime => Ok(pages::realtime::page(console, operator, &TestMessage::default())),
            Self::Push => pages::push::page(console, operator).await,
            Self::Backups => pages::backups::page(console, operator).await,
            Self::Settings => Ok(pages::settings::page(console)),
            Self::Changes => Ok(pages::changes::page(console).await),
        }
    }

    /// The page in the navigation that it belongs to.
    pub fn place(&self) -> &'static str {
        match self {
            Self::Now => "/console",
            Self::Sessions(_) | Self::Session(_) => "/console/sessions",
            Self::People(_) => "/console/people",
            Self::Realtime => "/console/realtime",
            Self::Push => "/console/push",
            Self::Backups => "/console/backups",
            Self::Settings => "/console/settings",
            Self::Changes => "/console/changes",
        }
    }
}

/// What a searched id may name.
pub enum FoundSession {
    Session(SessionId),
    Invitation(InvitationId),
}

impl FoundSession {
    /// All meanings that a text can have, the likeliest first.
    pub fn readings(text: &str) -> impl Iterator<Item = Self> {
        let session = text.parse().ok().map(Self::Session);
        let invitation = text.parse().ok().map(Self::Invitation);
        session.into_iter().chain(invitation)
    }
}
