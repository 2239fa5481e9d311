//! The heart of Tandem: the actors that hold sessions, persist them and tell partners of changes, around the pure
//! [`domain`]. It knows no HTTP, no storage engine, no Ably and no Expo: the shell implements them behind [`ports`].
//!
//! The way of a command: [`Coordinator::execute`] puts it into the session's inbox, which belongs to the
//! [`supervisor`]. The session's actor ([`session`]) decides on the state in memory and hands events and index rows to
//! the [`journal`], which writes the commits of many sessions with one flush. Everything that would show the change to
//! anybody (the answer, reads, publications, pushes) waits at the output gate until the flush is over.
//!
//! Each room uses only the rooms before it: [`ports`], `rows` ([`keys`], [`records`]), [`journal`], `messages`,
//! `stored` ([`idempotency`], [`explain`]), [`supervisor`], [`session`], `coordinator`.
//!
//! ```
//! use std::{sync::{Arc, OnceLock}, time::Duration};
//!
//! use tandem_actors::{
//!     Arbiters, Coordinator, Readers,
//!     domain::{Caller, CreateSession, Query, DomainSettings, command::CreateSessionRequest, routing::WhenAbsent},
//!     journal::{self, Journal},
//!     session::{DeliverySettings, ResidencySettings, RetentionSettings, SessionDeps},
//!     supervisor::SupervisionLimits,
//! };
//! use tandem_testing::{CountingIds, MemoryStore, RecordingRealtime, UsersWithDevices, WallClock};
//!
//! actix::System::new().block_on(async {
//!     let store = Arc::new(MemoryStore::default());
//!     let limits = journal::QueueLimits::default();
//!     let (journal, _thread) = Journal::start(store.clone(), limits, |error| eprintln!("{error}")).unwrap();
//!     let deps = SessionDeps {
//!         store,
//!         journal,
//!         readers: Readers::threads(),
//!         clock: Arc::new(WallClock),
//!         ids: Arc::new(CountingIds),
//!         realtime: Arc::new(RecordingRealtime::with_nobody_present()),
//!         devices: Arc::new(UsersWithDevices::default()),
//!         push: OnceLock::new(),
//!         domain: DomainSettings::default(),
//!         delivery: DeliverySettings {
//!             when_absent: WhenAbsent::Push,
//!             leave_grace: Duration::from_secs(30),
//!             resolve_within: Duration::from_secs(1),
//!             presence_max_age: None,
//!             heartbeat_ttl: Duration::from_secs(60),
//!             retry_min: Duration::from_millis(250),
//!             retry_max: Duration::from_secs(30),
//!         },
//!         residency: ResidencySettings {
//!             idle_after: Duration::from_secs(300),
//!             snapshot_every: 64,
//!             live_per_user: 100,
//!         },
//!         retention: RetentionSettings::default(),
//!     };
//!     let coordinator = Coordinator::new(Arc::new(deps), Arbiters::start(1), SupervisionLimits::default());
//!
//!     let request: CreateSessionRequest = serde_json::from_str(r#"{ "inviteName": "Ben" }"#).unwrap();
//!     let anna = Caller::nameless("anna".parse().unwrap());
//!     let created = coordinator.create(anna, CreateSession::try_from(request).unwrap(), None).await.unwrap();
//!     let created: serde_json::Value = serde_json::from_slice(&created.data).unwrap();
//!     let session = created["session"]["id"].as_str().unwrap().parse().unwrap();
//!
//!     let detail = coordinator.query(&session, &"anna".parse().unwrap(), Query::Detail).await.unwrap();
//!     let detail: serde_json::Value = serde_json::from_slice(&detail).unwrap();
//!     assert_eq!(detail["session"]["status"], "INVITED");
//!     // For anybody else there is no such session.
//!     assert!(coordinator.query(&session, &"carl".parse().unwrap(), Query::Detail).await.is_err());
//! });
//! ```

#![warn(unreachable_pub, clippy::wildcard_enum_match_arm)]

pub mod backoff;
pub mod chance;
mod coordinator;
mod encoding;
pub mod failpoint;
#[cfg(any(test, fuzzing))]
pub mod fuzz_tests;
pub mod journal;
mod messages;
pub mod ports;
mod readers;
mod rows;
pub mod session;
pub mod settling;
mod stored;
pub mod supervisor;
mod trace;

pub use tandem_domain as domain;

pub use coordinator::{Badge, Coordinator, Erasure, ListFilter, SessionOverview, SessionsPage, people, stored_time};
pub use messages::{CommandReply, IdempotencyKey, PartnerPresence, Reader, Refusal};
pub use people::{PeopleFilter, WithPerson};
pub use readers::Readers;
pub use rows::{
    compacted::Gaps,
    keys,
    pages::{Pages, pages},
    records,
};
pub use session::HeartbeatAnswer;
pub use stored::{explain, idempotency};
pub use supervisor::Arbiters;
pub use trace::RequestId;
