//! `GET /channels`: the active channels, sorted by name, page by page.
//!
//! Source: Ably's "Metadata REST requests" documentation.

use std::sync::Arc;

use serde::Serialize;

use super::{request::RestRequest, response::RestResponse};
use crate::{auth::Operation, channel, paging, protocol::ErrorInfo};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChannelDetails<'n> {
    channel_id: &'n str,
    name: &'n str,
    status: Status,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    is_active: bool,
    occupancy: Occupancy,
}

#[derive(Serialize)]
struct Occupancy {
    metrics: Metrics,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metrics {
    connections: usize,
    publishers: usize,
    subscribers: usize,
    presence_connections: usize,
    presence_members: usize,
    presence_subscribers: usize,
    object_publishers: usize,
    object_subscribers: usize,
}

impl<'n> ChannelDetails<'n> {
    pub fn new(name: &'n str, now: channel::Occupancy) -> Self {
        let metrics = Metrics {
            connections: now.connections,
            publishers: now.publishers,
            subscribers: now.subscribers,
            presence_connections: now.presence_connections,
            presence_members: now.presence_members,
            presence_subscribers: now.presence_subscribers,
            object_publishers: 0,
            object_subscribers: 0,
        };
        Self { channel_id: name, name, status: Status { is_active: true, occupancy: Occupancy { metrics } } }
    }
}

/// # Errors
/// 40160 for credentials without `channel-metadata`, 40000 for invalid parameters.
pub fn channels(request: &RestRequest<'_>) -> Result<RestResponse, ErrorInfo> {
    let caller = request.caller()?;
    if !caller.grant.capability.allows_somewhere(Operation::ChannelMetadata) {
        return Err(ErrorInfo::not_permitted("listing channels needs the channel-metadata operation"));
    }
    let limit = paging::limit(request.param("limit").as_deref())?;
    let names_only = match request.param("by").as_deref() {
        None | Some("value") => false,
        Some("id") => true,
        Some(_) => return Err(ErrorInfo::bad_request("by must be id or value")),
    };
    let (prefix, after) = (request.param("prefix").unwrap_or_default(), request.param("cursor"));
    let wanted = |name: &str| {
        name.starts_with(&*prefix)
            && after.as_deref().is_none_or(|after| name > after)
            && caller.grant.capability.allows(name, Operation::ChannelMetadata)
    };
    let mut page: Vec<Arc<str>> = caller.hub.active_channels(wanted);
    let more = page.len() > limit;
    if more {
        page.select_nth_unstable(limit);
        page.truncate(limit);
    }
    page.sort_unstable();
    let next = page.last().filter(|_| more).map(|name| name.as_ref().to_owned());
    let response = match names_only {
        true => request.response(200, &page.iter().map(|name| &**name).collect::<Vec<_>>()),
        false => {
            let known = |name: &Arc<str>| {
                caller.hub.known_channel(name).map_or_else(channel::Occupancy::default, |channel| channel.occupancy())
            };
            request.response(200, &page.iter().map(|name| ChannelDetails::new(name, known(name))).collect::<Vec<_>>())
        }
    };
    Ok(response.with_links("channels", request.links(next)))
}
