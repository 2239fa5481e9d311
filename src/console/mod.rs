//! The console under `/console`: pages for the operator of the node. The server renders them; a few lines of script
//! replace the parts that change, as server-sent events bring them. Every page also works without the script.
//!
//! It shows the state of the node, and no partner's text. [`sign_in`] decides who may see it. [`view`] finds the page
//! of a path, [`pages`] renders it, and [`live`] keeps it current. [`acts`] has the actions of its buttons, and
//! [`changes`] records who did them.

mod acts;
mod changes;
mod chart;
mod directory;
mod explained;
mod files;
mod history;
mod layout;
mod live;
mod meters;
mod pages;
mod routes;
mod shared;
mod sign_in;
mod troubles;
mod view;
mod words;

use std::{path::PathBuf, sync::Arc, time::Duration};

use actix_web::web::Data;
use tandem_actors::ports::StoreError;
use tokio::sync::Semaphore;

pub use self::routes::configure;
use self::{
    changes::Changes, directory::Directory, history::History, pages::backups::ListedBackup, shared::SharedReading,
    sign_in::SignIns,
};
use crate::{
    backups::BackupService,
    config::EffectiveSetting,
    http::AppState,
    push::{DevicesOverview, PushOverview, Pusher},
    store::NodeSeen,
};

/// Asks the database for the nodes of its fleet.
pub type ListFleet = Arc<dyn Fn() -> Result<Vec<NodeSeen>, StoreError> + Send + Sync>;

struct Fleet {
    list: ListFleet,
    nodes: SharedReading<Vec<NodeSeen>>,
}

/// The console of a node, shared by all workers.
pub struct Console {
    node: Data<AppState>,
    pusher: Arc<Pusher>,
    /// Where the store's files are.
    store: PathBuf,
    settings: Vec<EffectiveSetting>,
    sign_ins: SignIns,
    changes: Arc<Changes>,
    history: History,
    devices: SharedReading<DevicesOverview>,
    pushes: SharedReading<PushOverview>,
    directory: SharedReading<Directory>,
    backups: SharedReading<Vec<ListedBackup>>,
    /// Absent for a node without a fleet.
    fleet: Option<Fleet>,
    /// Room for open pages that are kept current.
    open_pages: Arc<Semaphore>,
}

impl Console {
    /// The console of a node whose store's files are in `store`. `list_fleet` asks for the nodes of its fleet, if it
    /// has one.
    pub fn new(
        node: Data<AppState>,
        pusher: Arc<Pusher>,
        store: PathBuf,
        settings: Vec<EffectiveSetting>,
        list_fleet: Option<ListFleet>,
    ) -> Arc<Self> {
        let changes = Arc::new(Changes::read(&node.store, node.journal.clone()));
        let list = changes.clone();
        node.operator_changes.listen(move |change| {
            let list = list.clone();
            actix_web::rt::spawn(async move { list.list(change.into()).await });
        });
        Arc::new(Self {
            node,
            pusher,
            store,
            settings,
            sign_ins: SignIns::default(),
            changes,
            history: History::default(),
            devices: SharedReading::default(),
            pushes: SharedReading::default(),
            directory: SharedReading::default(),
            backups: SharedReading::default(),
            fleet: list_fleet.map(|list| Fleet { list, nodes: SharedReading::default() }),
            open_pages: Arc::new(Semaphore::new(live::MOST)),
        })
    }

    /// The devices of all users, at most [`EVERY`] old.
    async fn devices(&self) -> Result<Arc<DevicesOverview>, StoreError> {
        let (store, now) = (self.node.store.clone(), self.node.clock.now());
        self.devices.get(EVERY, move || DevicesOverview::read(&*store, now)).await
    }

    /// The waiting pushes, as they were a moment ago.
    async fn pushes(&self) -> Result<Arc<PushOverview>, StoreError> {
        let store = self.node.store.clone();
        self.pushes.get(live::EVERY / 2, move || PushOverview::read(&*store)).await
    }

    /// The nodes of the fleet, as they were a moment ago.
    async fn fleet(&self) -> Option<Result<Arc<Vec<NodeSeen>>, StoreError>> {
        let fleet = self.fleet.as_ref()?;
        let list = fleet.list.clone();
        Some(fleet.nodes.get(EVERY, move || list()).await)
    }

    /// The sessions and the people, as they were a moment ago.
    async fn directory(&self) -> Result<Arc<Directory>, StoreError> {
        let store = self.node.store.clone();
        self.directory.get(live::EVERY / 2, move || Directory::read(&*store)).await
    }

    /// The node's own backups, as they were a moment ago.
    async fn backups(&self, service: &Arc<BackupService>) -> Result<Arc<Vec<ListedBackup>>, StoreError> {
        let service = service.clone();
        self.backups.get(live::EVERY / 2, move || Ok(pages::backups::read(&service))).await
    }

    /// Records the node's numbers every few seconds, as long as the console exists.
    pub async fn keep_history(self: Arc<Self>) {
        let weak = Arc::downgrade(&self);
        drop(self);
        while let Some(console) = weak.upgrade() {
            console.history.note((console.node.metrics)(), store_bytes(&console.store));
            drop(console);
            tokio::time::sleep(EVERY).await;
        }
    }
}

/// The time between two points of the charts.
const EVERY: Duration = Duration::from_secs(10);

/// The bytes of all files of the store. Unreadable ones do not count: an engine may just have deleted them.
fn store_bytes(directory: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let bytes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => store_bytes(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    bytes.sum()
}
