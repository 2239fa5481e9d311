//! Batch requests: several channels at once.

use serde::{Deserialize, Serialize};

use super::{
    channels::{Receipt, members_of, publish_as},
    request::RestRequest,
    response::RestResponse,
    summary::Summary,
};
use crate::{
    auth::Operation,
    channel::check_name,
    endpoint::PendingWrite,
    protocol::{ErrorInfo, InboundMessage, PresenceMessage, lenient::OneOrMany},
};

/// The largest number of channels of a batch request.
const MAX_CHANNELS: usize = 100;

#[derive(Deserialize)]
pub(super) struct BatchSpec {
    channels: OneOrMany<String>,
    messages: OneOrMany<InboundMessage>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ChannelOutcome<T> {
    Done(T),
    Failed { channel: String, error: ErrorInfo },
}

impl<T> ChannelOutcome<T> {
    fn has_failed(&self) -> bool {
        matches!(self, ChannelOutcome::Failed { .. })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PartialFailure<T> {
    error: ErrorInfo,
    batch_response: Vec<ChannelOutcome<T>>,
}

pub fn publish(request: &RestRequest<'_>) -> Result<RestResponse, ErrorInfo> {
    let caller = request.caller()?;
    let body: OneOrMany<BatchSpec> = request.body()?;
    let channels: usize = body.list.iter().map(|spec| spec.channels.list.len()).sum();
    if channels > MAX_CHANNELS {
        return Err(ErrorInfo::bad_request(format!("a batch may name at most {MAX_CHANNELS} channels")));
    }
    let publish_one = |channel: &String, messages: &[InboundMessage]| -> ChannelOutcome<Receipt> {
        let outcome = check_name(channel)
            .and_then(|()| caller.permit_any(channel, &[Operation::Publish]))
            .and_then(|()| publish_as(&caller, channel, messages.to_vec()));
        match outcome {
            Ok(receipt) => ChannelOutcome::Done(receipt),
            Err(error) => ChannelOutcome::Failed { channel: channel.clone(), error },
        }
    };
    let publish_spec = |spec: &BatchSpec| -> Vec<ChannelOutcome<Receipt>> {
        spec.channels.list.iter().map(|channel| publish_one(channel, &spec.messages.list)).collect()
    };
    if body.is_list {
        let summaries: Vec<_> =
            body.list.iter().map(|spec| Summary::new(publish_spec(spec), ChannelOutcome::has_failed)).collect();
        let response = request.response(201, &summaries);
        return Ok(response.once_durable(summaries.into_iter().flat_map(|summary| pending_writes(summary.results))));
    }
    let results: Vec<_> = body.list.iter().flat_map(publish_spec).collect();
    if request.version() >= 3 {
        let summary = Summary::new(results, ChannelOutcome::has_failed);
        return Ok(request.response(201, &summary).once_durable(pending_writes(summary.results)));
    }
    // Before version 3 the response is the bare list, or one error if any channel failed.
    if results.iter().any(ChannelOutcome::has_failed) {
        let error = ErrorInfo::new(40020, 400, "the batch failed for some channels");
        let body = PartialFailure { error: error.clone(), batch_response: results };
        return Ok(request.response(400, &body).with_error(error).once_durable(pending_writes(body.batch_response)));
    }
    Ok(request.response(201, &results).once_durable(pending_writes(results)))
}

fn pending_writes(results: Vec<ChannelOutcome<Receipt>>) -> impl Iterator<Item = PendingWrite> {
    results.into_iter().filter_map(|outcome| match outcome {
        ChannelOutcome::Done(receipt) => Some(receipt.pending_write),
        ChannelOutcome::Failed { .. } => None,
    })
}

#[derive(Serialize)]
struct ChannelPresence {
    channel: String,
    presence: Vec<PresenceMessage>,
}

pub fn presence(request: &RestRequest<'_>) -> Result<RestResponse, ErrorInfo> {
    let caller = request.caller()?;
    let names = request.param("channels").or_else(|| request.param("channel")).unwrap_or_default();
    let names: Vec<&str> = names.split(',').collect();
    if names.len() > MAX_CHANNELS {
        return Err(ErrorInfo::bad_request(format!("a batch may name at most {MAX_CHANNELS} channels")));
    }
    let look = |name: &str| {
        let allowed =
            check_name(name).and_then(|()| caller.permit_any(name, &[Operation::Presence, Operation::Subscribe]));
        match allowed {
            Ok(()) => ChannelOutcome::Done(ChannelPresence {
                channel: name.to_owned(),
                presence: members_of(&caller.hub, name),
            }),
            Err(error) => ChannelOutcome::Failed { channel: name.to_owned(), error },
        }
    };
    Ok(request.response(200, &Summary::new(names.into_iter().map(look).collect(), ChannelOutcome::has_failed)))
}
