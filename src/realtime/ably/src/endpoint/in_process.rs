//! The calls of the application, which runs in the same process: it publishes, reads presence sets, and ends rights.

use std::sync::Arc;

use super::{Endpoint, PendingWrite};
use crate::{
    channel::{RepeatDetection, check_name},
    hub::Hub,
    protocol::{Data, ErrorInfo, Message, PresenceMessage, data::Payload},
};

impl Endpoint {
    /// Publishes JSON text on a channel. Publishing the same `id` again has no effect. Subscribers get the message, and
    /// the receiver hears of it, when it is as durable as the channel is.
    ///
    /// # Errors
    /// 40010 for a name that no channel can have.
    pub fn publish(&self, channel: &str, id: String, name: &str, json: String) -> Result<PendingWrite, ErrorInfo> {
        check_name(channel)?;
        let message = Message {
            id: Some(id.into()),
            name: Some(name.into()),
            payload: Payload { data: Some(Data::Text(json.into())), encoding: Some("json".into()) },
            ..Message::default()
        };
        let channel = self.main.channel(channel);
        let (tell, told) = tokio::sync::oneshot::channel();
        let frame_id: Arc<str> = Hub::frame_id();
        let tell = move |result: Result<_, ErrorInfo>| drop(tell.send(result.map(drop)));
        // `tell` gets a refusal, too.
        let _ = self.main.publish(&channel, frame_id, None, vec![message], RepeatDetection::ByConnection, tell);
        Ok(told)
    }

    /// Visits the members of a channel's presence set while the channel is locked.
    pub fn each_member(&self, channel: &str, visit: &mut dyn FnMut(&PresenceMessage)) {
        if let Some(channel) = self.main.known_channel(channel) {
            channel.each_member(visit);
        }
    }

    /// A client's rights on these channels have ended: its sockets check their attachments again, and its members
    /// leave.
    pub fn rights_ended(&self, client_id: &str, channels: &[String]) {
        self.main.rights_ended(client_id, channels);
    }

    /// Deletes the history of these channels, and a client's presence there, from memory and from the store. Clients
    /// that continue later are told that they have missed something.
    ///
    /// # Errors
    /// If that may not be durable.
    pub async fn forget(&self, client_id: &str, channels: &[String]) -> Result<(), ErrorInfo> {
        self.rights_ended(client_id, channels);
        self.forget_channels(channels).await
    }

    /// Deletes the history of these channels, from memory and from the store.
    ///
    /// # Errors
    /// If that may not be durable.
    pub async fn forget_channels(&self, channels: &[String]) -> Result<(), ErrorInfo> {
        // Messages that are being written can be found only after they are stored.
        let stored = outcome_of(|tell| self.services.rows.settled(tell)).await;
        for channel in channels.iter().filter_map(|name| self.main.known_channel(name)) {
            channel.forget_entries();
        }
        stored?;
        for channel in channels {
            let read = |_| ErrorInfo::unavailable("the history could not be deleted");
            let mut outcome = Ok(());
            outcome_of(|tell| outcome = self.services.rows.delete_entries(&self.main.app, channel, tell)).await?;
            outcome.map_err(read)?;
        }
        Ok(())
    }

    /// Ends all tokens with a client id, and the connections that hold one.
    ///
    /// # Errors
    /// If that may not be durable.
    pub fn end_tokens_of(&self, client_id: &str) -> impl Future<Output = Result<(), ErrorInfo>> + Send + 'static {
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        self.main.end_tokens_of(client_id, move |result| drop(tell.send(result)));
        async move {
            while let Some(result) = told.recv().await {
                result?;
            }
            Ok(())
        }
    }
}

/// Runs `begin`, and waits for the outcome that it reports.
async fn outcome_of(begin: impl FnOnce(Box<dyn FnOnce(Result<(), ErrorInfo>) + Send>)) -> Result<(), ErrorInfo> {
    let (tell, told) = tokio::sync::oneshot::channel();
    begin(Box::new(move |result| drop(tell.send(result))));
    // After an error of the store there is no report. The caller has that error.
    told.await.unwrap_or(Ok(()))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use parking_lot::Mutex;

    use super::*;
    use crate::{
        Config,
        application::{Application, ChannelBinding, EventRef, PresenceChange, Rights},
        storage::{Change, Direction, Done, MemoryStorage, RowKey, Storage, StorageError},
        time::Timestamp,
    };

    /// Writes wait until the test releases them.
    #[derive(Default)]
    struct HeldStorage {
        rows: MemoryStorage,
        held: Mutex<Vec<(Vec<Change>, Done)>>,
    }

    impl HeldStorage {
        fn release(&self) {
            for (changes, done) in std::mem::take(&mut *self.held.lock()) {
                self.rows.write(changes, done);
            }
        }
    }

    impl Storage for HeldStorage {
        fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
            self.rows.get(key)
        }

        fn scan(
            &self,
            prefix: &[u8],
            after: Option<&[u8]>,
            direction: Direction,
            limit: usize,
        ) -> Result<Vec<(RowKey, Bytes)>, StorageError> {
            self.rows.scan(prefix, after, direction, limit)
        }

        fn write(&self, changes: Vec<Change>, done: Done) {
            self.held.lock().push((changes, done));
        }

        fn has_room(&self) -> bool {
            true
        }
    }

    struct NoApplication;

    impl Application for NoApplication {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(1_700_000_000_000)
        }

        fn binding(&self, _: &str) -> ChannelBinding {
            ChannelBinding::default()
        }

        fn is_reserved(&self, _: &str) -> bool {
            false
        }

        fn rights(&self, _: &str, _: &str) -> Result<Rights, StorageError> {
            Ok(Rights::AsIssued)
        }

        fn presence_changed(&self, _: &str, _: PresenceChange<'_>) {}

        fn delivered(&self, _: &EventRef, _: &str) {}
    }

    const CHANNEL: &str = "meetwithoutfear:session:x";

    fn entries(endpoint: &Endpoint) -> (usize, usize) {
        let mut stored = 0;
        let rows = &endpoint.services.rows;
        rows.entries(&endpoint.main.app, CHANNEL, None, Direction::Forward, |_| {
            stored += 1;
            true
        })
        .unwrap();
        (endpoint.main.channel(CHANNEL).recent().len(), stored)
    }

    #[tokio::test]
    async fn what_is_being_stored_is_forgotten_too() {
        let storage = Arc::new(HeldStorage::default());
        let endpoint = Endpoint::new(Config::default(), Vec::new(), Arc::new(NoApplication), storage.clone()).unwrap();
        let mut written = endpoint.publish(CHANNEL, "id".into(), "name", "1".into()).unwrap();
        assert!(written.try_recv().is_err() && entries(&endpoint) == (0, 0), "nothing is heard before it is stored");
        let channels = [CHANNEL.to_owned()];
        let release = async {
            loop {
                storage.release();
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            result = endpoint.forget_channels(&channels) => assert_eq!(result, Ok(())),
            () = release => {}
        }
        assert_eq!((written.await, entries(&endpoint)), (Ok(Ok(())), (0, 0)));
    }
}
