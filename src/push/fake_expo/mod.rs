//! A stand-in for Expo's push service. It keeps devices, tickets, receipts, projects and limits, fails on demand, and
//! shows the notifications on each device. Tests and the demo use it, and `tandem fake-expo` runs it alone.
//!
//! The service's own routes are `POST /--/api/v2/push/send` and `POST /--/api/v2/push/getReceipts`, as Expo documents
//! them. Everything under `/control` is the stand-in's:
//!
//! | route | what |
//! |---|---|
//! | `POST /control/faults` | a [`Fault`]; `DELETE` ends all |
//! | `PUT /control/devices/{token}` | a [`DeviceSetup`] |
//! | `GET /control/devices/{token}` · `GET /control/devices` | a [`DeviceView`] · all of them |
//! | `PUT /control/projects/{name}` | a [`ProjectSetup`] |
//! | `GET /control/requests` | the requests, the oldest first |
//! | `POST /control/clock` | `{"advance": "15m"}` |
//! | `PUT /control/settings` | [`FakeExpoSettings`] |

mod connection;
mod control;
mod fault;
mod service;
mod state;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use actix_web::{App, HttpServer, dev::ServerHandle, web};
use parking_lot::Mutex;

use self::{connection::Connection, state::FakeExpoState};
pub use self::{
    fault::{Fault, FaultKind, Route},
    state::{Credentials, DeviceSetup, DeviceView, FakeExpoSettings, Notification, ProjectSetup, SeenRequest},
};

/// A running stand-in. It ends with [`FakeExpo::stop`], or with the process.
pub struct FakeExpo {
    /// `http://127.0.0.1:…`, for `push.base_url` and `EXPO_BASE_URL`.
    pub url: String,
    address: SocketAddr,
    state: Arc<Mutex<FakeExpoState>>,
    server: ServerHandle,
}

impl FakeExpo {
    /// Listens on the address; port 0 takes a free one. Must be called within a tokio runtime.
    pub async fn start(listen: &str) -> io::Result<Self> {
        Self::resume(listen, Arc::default())
    }

    fn resume(listen: &str, state: Arc<Mutex<FakeExpoState>>) -> io::Result<Self> {
        let listener = TcpListener::bind(listen)?;
        let address = listener.local_addr()?;
        let shared = web::Data::from(state.clone());
        let app = move || App::new().app_data(shared.clone()).configure(service::routes).configure(control::routes);
        let server = HttpServer::new(app)
            .workers(1)
            .disable_signals()
            .shutdown_timeout(0)
            .on_connect(Connection::remember)
            .listen(listener)?
            .run();
        let handle = server.handle();
        drop(tokio::spawn(server));
        Ok(Self { url: format!("http://{address}"), address, state, server: handle })
    }

    /// Refuses connections until [`FakeExpo`] listens again.
    pub async fn stop(&self) {
        self.server.stop(false).await;
    }

    /// Listens at the same address again, and remembers everything.
    pub fn restart(&self) -> io::Result<Self> {
        Self::resume(&self.address.to_string(), self.state.clone())
    }

    /// Adds a fault behind those that are there.
    pub fn fault(&self, fault: Fault) {
        self.state.lock().faults.push(fault);
    }

    /// Takes all faults away.
    pub fn end_faults(&self) {
        self.state.lock().faults.clear();
    }

    /// Registers a device, or changes it.
    pub fn set_device(&self, token: &str, setup: DeviceSetup) {
        self.state.lock().set_device(token, setup);
    }

    /// Adds a project, or changes it.
    pub fn set_project(&self, name: &str, setup: ProjectSetup) {
        self.state.lock().projects.insert(name.into(), setup);
    }

    /// Settings from now on.
    pub fn set(&self, settings: FakeExpoSettings) {
        self.state.lock().settings = settings;
    }

    /// The notifications on the device; `None` if nothing was ever sent to it.
    pub fn device(&self, token: &str) -> Option<DeviceView> {
        self.state.lock().view(token)
    }

    /// The latest requests, the oldest first.
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.state.lock().requests.iter().cloned().collect()
    }

    /// Moves the clock of the stand-in, so that receipts appear or disappear.
    pub fn advance(&self, by: Duration) {
        self.state.lock().advance(by);
    }
}
