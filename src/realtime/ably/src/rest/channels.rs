//! Routes of one channel: publish, history, presence, status.

use serde::Serialize;

use super::{
    enumeration::ChannelDetails,
    request::{Caller, RestRequest},
    response::RestResponse,
    unenveloped,
};
use crate::{
    auth::{AuthMethod, ClientId, Operation},
    channel::RepeatDetection,
    endpoint::PendingWrite,
    history::{HistoryKind, HistoryPage, HistoryQuery},
    hub::Hub,
    log::{Entry, EntryBody},
    paging,
    protocol::{
        ErrorInfo, InboundMessage, Message, PresenceMessage,
        lenient::OneOrMany,
        message::{LogPosition, PositionedMessage},
    },
    publication::prepare,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    pub channel: String,
    pub message_id: String,
    pub serials: Vec<String>,
    /// Hears when the messages are as durable as the channel is.
    #[serde(skip)]
    pub pending_write: PendingWrite,
}

/// Publishes for an authorized caller.
pub fn publish_as(caller: &Caller, name: &str, mut messages: Vec<InboundMessage>) -> Result<Receipt, ErrorInfo> {
    let on_behalf = messages.iter().find_map(|message| message.connection_key.clone());
    let (connection_id, client_id) = match on_behalf {
        None => (None, caller.client_id.clone()),
        Some(key) => {
            let connection = key
                .split_once('!')
                .and_then(|(id, secret)| caller.hub.connection(id).filter(|connection| connection.accepts(secret)));
            let connection =
                connection.ok_or_else(|| ErrorInfo::new(40006, 400, "the connectionKey belongs to no connection"))?;
            // A key may publish for any client. A token's holder gets no rights from a found connection key.
            if caller.grant.auth_method != AuthMethod::Key && connection.client_id() != caller.client_id {
                return Err(ErrorInfo::new(40006, 400, "the connectionKey belongs to another client's connection"));
            }
            (Some(connection.id.clone()), connection.client_id())
        }
    };
    messages.iter_mut().for_each(|message| message.connection_key = None);
    let messages = prepare(messages, |claimed| match &client_id {
        // A key may publish for any client, and names it in each message.
        ClientId::Any => ClientId::Any.for_message(claimed),
        own => own.for_message(claimed),
    })?;
    if messages.is_empty() {
        return Err(ErrorInfo::bad_request("there is no message to publish"));
    }
    let channel = caller.hub.channel(name);
    caller.hub.refuse_reserved(&channel, &messages)?;
    let bytes = messages.iter().map(Message::size).sum();
    let account = caller.hub.accounts.of(&caller.grant, &caller.client_id);
    if let Some(account) = &account {
        account.publish(bytes, &caller.hub.services.config.limits)?;
    }
    caller.hub.charge_storage(account.as_deref(), &channel, bytes, messages.len())?;
    let (tell, pending_write) = tokio::sync::oneshot::channel();
    let frame_id = Hub::frame_id();
    let message_id = messages[0].id.as_deref().map_or_else(|| format!("{frame_id}:0"), str::to_owned);
    // A repeated request is recognised by the ids that its client chose.
    let published = caller.hub.publish(
        &channel,
        frame_id,
        connection_id.as_ref(),
        messages,
        RepeatDetection::ByConnection,
        move |result| {
            drop(tell.send(result.map(drop)));
        },
    )?;
    Ok(Receipt { channel: name.to_owned(), message_id, serials: published.serials().collect(), pending_write })
}

pub fn publish(request: &RestRequest<'_>) -> Result<RestResponse, ErrorInfo> {
    let (caller, name) = request.caller_on_channel(&[Operation::Publish])?;
    if request.param("_forceNack").as_deref() == Some("true") {
        // Ably's service offers this parameter to SDKs for tests of a refusal.
        return Err(ErrorInfo::new(40099, 400, "refused because of _forceNack"));
    }
    let messages = match request.param("enveloped").as_deref() {
        Some("false") => vec![unenveloped::message(request)?],
        _ => request.body::<OneOrMany<InboundMessage>>()?.list,
    };
    let receipt = publish_as(&caller, &name, messages)?;
    Ok(request.response(201, &receipt).once_durable([receipt.pending_write]))
}

pub fn messages(request: &RestRequest<'_>) -> Result<RestResponse, ErrorInfo> {
    let segment = if request.http.path().ends_with("/history") { "history" } else { "messages" };
    page(request, HistoryKind::Messages, segment)
}

pub fn presence_history(request: &RestRequest<'_>) -> Result<RestResponse, ErrorInfo> {
    page(request, HistoryKind::Presence, "history")
}

fn page(request: &RestRequest<'_>, kind: HistoryKind, segment: &str) -> Result<RestResponse, ErrorInfo> {
    let (caller, name) = request.caller_on_channel(&[Operation::History])?;
    let query = HistoryQuery::read(kind, |name| request.param(name))?;
    let channel = caller.hub.channel(&name);
    let HistoryPage { items, next } = caller.hub.history(&channel, &query)?;
    let response = match kind {
        HistoryKind::Messages => {
            let texts: Vec<(String, String)> =
                items.iter().map(|(entry, index)| (entry.message_id(*index), entry.message_serial(*index))).collect();
            let positioned = items
                .iter()
                .zip(&texts)
                .filter_map(|((entry, index), (id, serial))| position(entry, *index, id, serial));
            request.response(200, &positioned.collect::<Vec<_>>())
        }
        HistoryKind::Presence => {
            let events = items.iter().filter_map(|(entry, index)| match &entry.body {
                EntryBody::Presence(events) => events.get(*index),
                EntryBody::Messages(_) => None,
            });
            request.response(200, &events.collect::<Vec<_>>())
        }
    };
    Ok(response.with_links(segment, request.links(next.map(|cursor| cursor.to_string()))))
}

fn position<'e>(entry: &'e Entry, index: usize, id: &'e str, serial: &'e str) -> Option<PositionedMessage<'e>> {
    let EntryBody::Messages(messages) = &entry.body else { return None };
    let connection_id = entry.connection_id.as_deref();
    let position = LogPosition { id: Some(id), connection_id, timestamp: Some(entry.at), serial };
    Some(PositionedMessage { message: messages.get(index)?, position })
}

pub fn presence(request: &RestRequest<'_>) -> Result<RestResponse, ErrorInfo> {
    let (caller, name) = request.caller_on_channel(&[Operation::Presence, Operation::Subscribe])?;
    let limit = paging::limit(request.param("limit").as_deref())?;
    let skip: usize = match request.param("cursor") {
        None => 0,
        Some(text) => text.parse().map_err(|_| ErrorInfo::bad_request("cursor is not one of a page's links"))?,
    };
    let (client_id, connection_id) = (request.param("clientId"), request.param("connectionId"));
    let wanted = |member: &PresenceMessage| {
        client_id.as_deref().is_none_or(|id| *member.client_id == *id)
            && connection_id.as_deref().is_none_or(|id| *member.connection_id == *id)
    };
    let members = members_of(&caller.hub, &name);
    let mut page: Vec<&PresenceMessage> =
        members.iter().filter(|member| wanted(member)).skip(skip).take(limit + 1).collect();
    let more = page.len() > limit;
    page.truncate(limit);
    Ok(request.response(200, &page).with_links("presence", request.links(more.then(|| (skip + limit).to_string()))))
}

/// The members of a channel's presence set. This does not open a new channel.
pub fn members_of(hub: &Hub, name: &str) -> Vec<PresenceMessage> {
    hub.known_channel(name).map(|channel| channel.members()).unwrap_or_default()
}

pub fn status(request: &RestRequest<'_>) -> Result<RestResponse, ErrorInfo> {
    let (caller, name) = request.caller_on_channel(&[Operation::ChannelMetadata])?;
    // The request activates the channel, as in Ably's service.
    let occupancy = caller.hub.channel(&name).occupancy();
    Ok(request.response(200, &ChannelDetails::new(&name, occupancy)))
}
