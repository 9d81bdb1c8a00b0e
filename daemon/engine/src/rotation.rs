//! Putting new project keys in place: the keeper has the list, the store does the work, and here one project after the
//! other is dealt with. A rotation that was interrupted goes on at the next start.
//!
//! Also the way to open a project, because one whose key was replaced just before a kill has another key than the keeper
//! thinks.

use std::sync::Arc;
use std::time::Duration;

use merlon_cipherdb::DbError;
use merlon_wire::link::{KeeperClient, KeeperError, Rekeying};
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::JoinError;
use tokio::time::sleep;

use crate::links::Links;
use crate::log;
use crate::store::{ProjectMeta, Store, StoreError};

/// How often a keeper that went away is asked again; each time it is waited for.
const TRIES: u32 = 5;
/// Between two tries at a start.
const RETRY: Duration = Duration::from_secs(2);

/// Why a project was not opened, or not given its new key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProjectError {
    /// The keeper.
    #[error(transparent)]
    Keeper(#[from] KeeperError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A thread of the store.
    #[error("a thread of the store failed: {0}")]
    Task(#[from] JoinError),
}

/// How far a rotation is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Projects that got their new key.
    pub(crate) rekeyed: u32,
    /// Projects that still wait for it.
    pub(crate) waiting: u32,
    /// Why the first of those that failed did.
    pub(crate) problem: Option<String>,
}

/// The work on projects of one instance. Clones share it.
#[derive(Clone)]
pub(crate) struct Rotation(Arc<Inner>);

struct Inner {
    links: Links,
    store: Store,
    /// Held by whoever changes which projects there are, which is open, or what their keys are.
    projects: Mutex<()>,
    /// One rotation at a time; the next one waits and finds less to do.
    running: Mutex<()>,
}

impl Rotation {
    /// Of this instance.
    pub(crate) fn new(links: Links, store: Store) -> Self {
        Self(Arc::new(Inner { links, store, projects: Mutex::default(), running: Mutex::default() }))
    }

    /// One at a time changes which projects there are, or which is open.
    pub(crate) async fn turn_at_projects(&self) -> MutexGuard<'_, ()> {
        self.0.projects.lock().await
    }

    /// How many projects wait for a new key.
    pub(crate) async fn waiting(&self) -> Result<u32, KeeperError> {
        Ok(self.0.links.keeper().await?.next_rekey(u64::MAX).await?.0)
    }

    /// Gives every project that waits its new key. One that fails is passed over, and waits on.
    pub(crate) async fn advance(&self) -> Result<Progress, ProjectError> {
        let _running = self.0.running.lock().await;
        let mut progress = Progress::default();
        let mut after = 0;
        let mut tries = 1;
        loop {
            match self.step(after, &mut progress).await {
                Ok(None) => return Ok(progress),
                Ok(Some(id)) => after = id,
                // It is being started again; a project that was dealt with and not reported is found done.
                Err(ProjectError::Keeper(KeeperError::Link(_))) if tries < TRIES => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// The next project; none if there is none.
    async fn step(&self, after: u64, progress: &mut Progress) -> Result<Option<u64>, ProjectError> {
        let _turn = self.turn_at_projects().await;
        let keeper = self.0.links.keeper().await?;
        let (waiting, work) = keeper.next_rekey(after).await?;
        progress.waiting = waiting;
        let Some(work) = work else { return Ok(None) };
        let id = work.id;
        match rekey(&keeper, &self.0.store, work).await {
            Ok(()) => progress.rekeyed += 1,
            Err(ProjectError::Store(error)) => {
                log::warn(format_args!("project {id} was not given its new key: {error}"));
                progress.problem.get_or_insert_with(|| format!("project {id}: {error}"));
            }
            Err(error) => return Err(error),
        }
        Ok(Some(id))
    }

    /// Goes on with a rotation that was interrupted, if there is one.
    pub(crate) async fn resume(&self) {
        let mut told = String::new();
        loop {
            match self.advance().await {
                Ok(Progress { rekeyed: 0, .. }) => return,
                Ok(progress) => {
                    log::info(format_args!(
                        "a replacement of the keys went on: {} projects have their new key, {} wait",
                        progress.rekeyed, progress.waiting
                    ));
                    return;
                }
                Err(error) => {
                    let text = error.to_string();
                    if text != told {
                        log::warn(format_args!("a replacement of the keys may have to go on, and does not: {text}"));
                        told = text;
                    }
                    sleep(RETRY).await;
                }
            }
        }
    }
}

/// Opens a project. If its file has another key than the keeper says, a rotation was interrupted before it was reported.
pub(crate) async fn open(keeper: &KeeperClient, store: &Store, project: ProjectMeta) -> Result<(), ProjectError> {
    match try_open(keeper, store, &project).await {
        Err(ProjectError::Store(StoreError::Unusable { source: DbError::WrongKeyOrCorrupt, .. })) => {}
        other => return other,
    }
    // Ids begin with 1.
    if let (_, Some(work)) = keeper.next_rekey(project.id.saturating_sub(1)).await?
        && work.id == project.id
    {
        rekey(keeper, store, work).await?;
    }
    try_open(keeper, store, &project).await
}

async fn try_open(keeper: &KeeperClient, store: &Store, project: &ProjectMeta) -> Result<(), ProjectError> {
    let key = keeper.project_key(project.id).await?;
    let (store, project) = (store.clone(), project.clone());
    Ok(tokio::task::spawn_blocking(move || store.open(project, key)).await??)
}

async fn rekey(keeper: &KeeperClient, store: &Store, work: Rekeying) -> Result<(), ProjectError> {
    let Rekeying { id, key, next } = work;
    let store = store.clone();
    tokio::task::spawn_blocking(move || store.rekey(id, key, next)).await??;
    Ok(keeper.rekeyed(id).await?)
}
