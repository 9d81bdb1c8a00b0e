//! From started to open: what the hub asks of its keeper once that is unlocked, in order. The key of the database, which is
//! the keeper's project named `hub`, the setup code of a hub without accounts, and the signing keys.

use std::path::{Path, PathBuf};
use std::time::Duration;

use merlon_sandbox::secret::Secret;
use merlon_wire::hub::SigningKey;
use merlon_wire::keeper::LockState;
use merlon_wire::link::{KeeperClient, KeeperError, Links};
use tokio::time::sleep;

use crate::accounts::setup::{self, SetupError};
use crate::clock;
use crate::issuer::Issuer;
use crate::log;
use crate::pages;
use crate::store::dashboard::{self, DashboardError};
use crate::store::{Store, StoreError};

/// The keeper's project whose key is that of the database.
const PROJECT: &str = "hub";

/// How often a locked keeper is asked whether it is open, and a failed opening is tried again.
const RETRY: Duration = Duration::from_millis(250);

/// What an open hub has.
pub(crate) struct Opened {
    /// The database.
    pub(crate) store: Store,
    /// All public keys.
    pub(crate) keys: Vec<SigningKey>,
}

/// Why the hub is not open yet.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error("its keeper is locked; run `merlon unlock`")]
    Locked,
    #[error("its keeper still tries the keyslots that open by themselves; if none does, run `merlon unlock`")]
    Opening,
    #[error(transparent)]
    Keeper(#[from] KeeperError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error(transparent)]
    Dashboard(#[from] DashboardError),
    #[error("the thread that opens the database failed")]
    Thread,
}

/// Opens the hub, however long it takes: a locked keeper is asked again, a keeper that died comes back, a database that
/// cannot be opened is told once and tried again. `tell` hears why it is not open.
pub(crate) async fn open(links: &Links, store_dir: &Path, issuer: &Issuer, tell: impl Fn(&str)) -> Opened {
    let mut told = String::new();
    loop {
        match try_open(links, store_dir, issuer).await {
            Ok(opened) => return opened,
            Err(error) => {
                let text = error.to_string();
                if text != told {
                    log::warn(format_args!("the hub is not open: {text}"));
                    tell(&text);
                    told = text;
                }
                sleep(RETRY).await;
            }
        }
    }
}

async fn try_open(links: &Links, store_dir: &Path, issuer: &Issuer) -> Result<Opened, OpenError> {
    let keeper = links.keeper().await?;
    match keeper.status().await?.state {
        LockState::Unlocked => {}
        LockState::Locked => return Err(OpenError::Locked),
        LockState::Opening => return Err(OpenError::Opening),
    }
    let dir: PathBuf = store_dir.to_owned();
    finish_rotation(&keeper, &dir).await?;
    let key = database_key(&keeper).await?;
    let opening = tokio::task::spawn_blocking(move || Store::open(&dir, &key));
    let store = opening.await.map_err(|_| OpenError::Thread)??;
    dashboard::register(&store, issuer.url(pages::CALLBACK), clock::now_us()).await?;
    if setup::prepare(&store, store_dir).await?.is_some() {
        log::info(format_args!(
            "there is no account yet; `merlon-hub setup-code` shows the code that makes the first one"
        ));
    }
    Ok(Opened { store, keys: keeper.signing_keys().await? })
}

/// After `merlon keyslot rotate` the database waits for its new key until the hub starts again.
async fn finish_rotation(keeper: &KeeperClient, dir: &Path) -> Result<(), OpenError> {
    let mut after = 0;
    while let (_, Some(waiting)) = keeper.next_rekey(after).await? {
        after = waiting.id;
        let (dir, id) = (dir.to_owned(), waiting.id);
        let work = tokio::task::spawn_blocking(move || Store::rekey(&dir, &waiting.key, &waiting.next));
        work.await.map_err(|_| OpenError::Thread)??;
        keeper.rekeyed(id).await?;
        log::info(format_args!("the database has its new key"));
    }
    Ok(())
}

async fn database_key(keeper: &KeeperClient) -> Result<Secret<32>, KeeperError> {
    let projects = keeper.list_projects().await?;
    let id = match projects.into_iter().find(|project| project.name == PROJECT) {
        Some(project) => project.id,
        None => keeper.create_project(PROJECT).await?.id,
    };
    keeper.project_key(id).await
}
