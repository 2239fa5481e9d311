//! The coordinator's side: its events go out on its channels, and who is there is answered from memory.

use std::sync::Arc;

use tandem_actors::{
    domain::{
        ids::{SessionId, UserId},
        time::Timestamp,
    },
    ports::{BoxFuture, Member, Publication, Realtime, RealtimeError},
};

use super::{
    Embedded,
    channel::{Repeats, check_name},
    hub::{Hub, connection_name},
    protocol::{Data, ErrorInfo, Message, data::Payload},
};

impl Realtime for Embedded {
    fn publish(&self, batch: Vec<Publication>) -> BoxFuture<Result<(), RealtimeError>> {
        // Published here and now, in order; only the wait for the store is left to the future.
        let outcomes: Vec<_> = batch.into_iter().map(|publication| self.publish_one(publication)).collect();
        Box::pin(async move {
            for outcome in outcomes {
                let told = outcome?.await;
                told.unwrap_or_else(|_| Err(ErrorInfo::unavailable("the node is stopping"))).map_err(|error| {
                    RealtimeError::Unavailable { reason: error.message.into_owned(), retry_after: None }
                })?;
            }
            Ok(())
        })
    }

    fn members(&self, session: &SessionId) -> BoxFuture<Result<Vec<Member>, RealtimeError>> {
        let members = self.members_in_memory(session).unwrap_or_default();
        Box::pin(std::future::ready(Ok(members)))
    }

    fn members_in_memory(&self, session: &SessionId) -> Option<Vec<Member>> {
        let mut members = Vec::new();
        for (number, name) in self.services.names.presence(session).enumerate() {
            let Some(channel) = self.main.known_channel(&name) else { continue };
            channel.present(&mut |member| {
                if let Ok(user) = member.client_id.parse() {
                    let at = Timestamp::from_millis(member.timestamp);
                    members.push(Member { user, connection: connection_name(&member.connection_id, number), at });
                }
            });
        }
        Some(members)
    }

    fn rights_ended(&self, session: &SessionId, user: &UserId) {
        self.main.rights_ended(session, user);
    }
}

type Told = tokio::sync::oneshot::Receiver<Result<(), ErrorInfo>>;

impl Embedded {
    /// Ends all tokens that a user has, and the connections that hold one. What is answered is durable.
    pub fn end_tokens_of(&self, user: &UserId) -> BoxFuture<Result<(), ErrorInfo>> {
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        self.main.end_tokens_of(user, move |result| drop(tell.send(result)));
        Box::pin(async move {
            while let Some(result) = told.recv().await {
                result?;
            }
            Ok(())
        })
    }

    fn publish_one(&self, publication: Publication) -> Result<Told, RealtimeError> {
        let refused = |reason: String| RealtimeError::Refused { reason };
        let name = self.services.names.of(&publication.channel);
        check_name(&name).map_err(|error| refused(error.message.into_owned()))?;
        let text =
            String::from_utf8(publication.data.into()).map_err(|_| refused("the data is not JSON text".into()))?;
        let message = Message {
            id: Some(publication.id.into()),
            name: Some(publication.name.into()),
            payload: Payload { data: Some(Data::Text(text.into())), encoding: Some("json".into()) },
            ..Message::default()
        };
        let channel = self.main.channel(&name);
        let (tell, told) = tokio::sync::oneshot::channel();
        let frame_id: Arc<str> = Hub::frame_id();
        let tell = move |result: Result<_, ErrorInfo>| drop(tell.send(result.map(drop)));
        // A refusal is told to `tell`, too.
        let _ = self.main.publish(&channel, frame_id, None, vec![message], Repeats::Known, tell);
        Ok(told)
    }
}
