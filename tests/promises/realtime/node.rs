//! An endpoint for tests: in this process on a free port, or a running server at `TANDEM_URL`.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use actix_web::{App, HttpServer};
use parking_lot::Mutex;
use tandem::realtime::{
    channels::ChannelNames,
    embedded::{EmbeddedEndpoint, Scope},
    token::ClientPublish,
};
use tandem_ably::{ApiKey, Capability, Config};
use tandem_actors::{
    domain::ids::{Seq, SessionId, UserId},
    journal::{Journal, QueueLimits},
    ports::{PresenceChange, PresenceSink, Store},
};
pub use tandem_testing::{MemoryStore, WallClock};

pub const KEY_NAME: &str = "tandem.main";
/// Of the same app, with the same secret.
pub const OTHER_KEY_NAME: &str = "tandem.second";
pub const KEY_SECRET: &str = "a-secret-for-tests";

/// The reports that the coordinator would get.
#[derive(Default)]
pub struct Heard {
    pub presence: Mutex<Vec<(SessionId, PresenceChange)>>,
    pub delivered: Mutex<Vec<(SessionId, UserId, Seq)>>,
}

impl PresenceSink for Heard {
    fn presence(&self, session: &SessionId, change: PresenceChange) {
        self.presence.lock().push((session.clone(), change));
    }

    fn delivered(&self, session: &SessionId, user: &UserId, seq: Seq) {
        self.delivered.lock().push((session.clone(), user.clone(), seq));
    }
}

pub struct Node {
    pub url: String,
    pub embedded: EmbeddedEndpoint,
    pub heard: Arc<Heard>,
    server: actix_web::dev::ServerHandle,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Node {
    pub fn start(config: Config) -> Node {
        Self::start_on(config, Arc::new(MemoryStore::default()), 0)
    }

    pub fn start_on(config: Config, store: Arc<dyn Store>, port: u16) -> Node {
        // For the HTTP client of the tests. A second call has no effect.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (journal, _) = Journal::start(store.clone(), QueueLimits::default(), |error| panic!("{error}")).unwrap();
        let capability = Capability::everything();
        let mut main = ApiKey::new(KEY_NAME, KEY_SECRET, capability.clone());
        main.revocable_tokens = true;
        let keys = vec![main, ApiKey::new(OTHER_KEY_NAME, KEY_SECRET, capability)];
        let scope = Scope { client_publish: ClientPublish::Allowed, resolved_for: Duration::from_secs(3600) };
        let clock = Arc::new(WallClock);
        let embedded =
            EmbeddedEndpoint::new(config, ChannelNames::default(), scope, keys, clock, store, journal).unwrap();
        let heard = Arc::new(Heard::default());
        embedded.report_to(heard.clone());
        let (told, tell) = mpsc::channel();
        let served = embedded.clone();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = HttpServer::new(move || App::new().configure(|cfg| served.endpoint.configure(cfg)))
                    .workers(2)
                    .shutdown_timeout(1)
                    .disable_signals()
                    .bind(("127.0.0.1", port))
                    .unwrap();
                let address = server.addrs()[0];
                let running = server.run();
                told.send((format!("http://{address}"), running.handle())).unwrap();
                running.await.unwrap();
            });
        });
        let (url, server) = tell.recv().unwrap();
        Node { url, embedded, heard, server, thread: Some(thread) }
    }

    pub fn key(&self) -> String {
        format!("{KEY_NAME}:{KEY_SECRET}")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Stops like a crash, without a goodbye.
        drop(self.server.stop(false));
        if let Some(thread) = self.thread.take()
            && !std::thread::panicking()
        {
            let _ = thread.join();
        }
    }
}
