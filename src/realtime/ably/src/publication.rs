//! Validation of publishes, by WebSocket and by REST.

use std::sync::Arc;

use crate::protocol::{ErrorInfo, InboundMessage, MAX_MESSAGE_SIZE, Message};

pub fn message_too_large() -> ErrorInfo {
    ErrorInfo::too_large(format!("the messages of one publish must have at most {MAX_MESSAGE_SIZE} bytes together"))
}

/// Validates the messages of one publish, and sets their client ids.
///
/// # Errors
/// 40009 if too large, 40012 for the client id, 40031 for ids other than `base:0`, `base:1`, …, and the errors of
/// [`Message::accept`].
pub fn prepare(
    messages: Vec<InboundMessage>,
    client_id_of: impl Fn(Option<Arc<str>>) -> Result<Option<Arc<str>>, ErrorInfo>,
) -> Result<Vec<Message>, ErrorInfo> {
    let accept = |inbound| {
        let message = Message::accept(inbound)?;
        Ok(Message { client_id: client_id_of(message.client_id.clone())?, ..message })
    };
    let messages: Vec<Message> = messages.into_iter().map(accept).collect::<Result<_, ErrorInfo>>()?;
    if messages.iter().map(Message::size).sum::<usize>() > MAX_MESSAGE_SIZE {
        return Err(message_too_large());
    }
    check_ids(&messages)?;
    Ok(messages)
}

fn check_ids(messages: &[Message]) -> Result<(), ErrorInfo> {
    let [first, _, ..] = messages else { return Ok(()) };
    if messages.iter().all(|message| message.id.is_none()) {
        return Ok(());
    }
    let base = first.id.as_deref().and_then(|id| id.strip_suffix(":0"));
    let numbered = base.is_some_and(|base| {
        messages.iter().enumerate().all(|(index, message)| message.id.as_deref() == Some(&*format!("{base}:{index}")))
    });
    if numbered {
        return Ok(());
    }
    Err(ErrorInfo::invalid_ids("the ids of several messages must be base:0, base:1, … in this order"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_ids(ids: &[Option<&str>]) -> Vec<Message> {
        ids.iter().map(|id| Message { id: id.map(Into::into), ..Message::default() }).collect()
    }

    #[test]
    fn ids_of_several_messages_are_numbered() {
        for ids in [
            &[Some("x")][..],
            &[None, None],
            &[Some("a:0"), Some("a:1")],
            &[Some("a:b:0"), Some("a:b:1"), Some("a:b:2")],
        ] {
            assert_eq!(check_ids(&with_ids(ids)), Ok(()), "{ids:?}");
        }
        for ids in [
            &[Some("a"), Some("b")][..],
            &[Some("a:1"), Some("a:0")],
            &[None, Some("a:1")],
            &[Some("a:0"), Some("b:1")],
        ] {
            assert_eq!(check_ids(&with_ids(ids)).unwrap_err().code, 40031, "{ids:?}");
        }
    }
}
