//! What the handlers share: the store, the links, the facts that do not change, and the bounds on doing too much at once.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use merlon_api::{Listener, ProblemCode};
use merlon_config::HostPattern;
use merlon_wire::SandboxReport;
use tokio::sync::{MutexGuard, OwnedSemaphorePermit, Semaphore, SemaphorePermit, watch};

use super::bodies::id_of;
use super::{Arrival, Refused};
use crate::auth::{Sessions, Sites};
use crate::identity::Identity;
use crate::links::Links;
use crate::rotation::Rotation;
use crate::signin::SignIns;
use crate::store::{Detail, Store, StoreError};

/// Requests over TCP that ask the keeper at once.
const ASKING: usize = 32;
/// Reads of the store at once, as many as it has connections for; each takes a thread.
const READING: usize = 4;
/// Event streams at once. They are fewer than connections, so that lists stay possible.
const STREAMS: usize = 64;
/// How long a request waits for its turn.
const TURN: Duration = Duration::from_secs(10);

/// How often a silent event stream shows that it lives, and its identity that it stands: a revoked token ends its
/// streams within this time.
const BEAT: Duration = if cfg!(test) { Duration::from_millis(20) } else { Duration::from_secs(5) };

/// What does not change while the engine runs.
pub(crate) struct Facts {
    /// Every listener of proxy and API, as bound.
    pub(crate) listeners: Vec<Listener>,
    /// `api.allowed_hosts` at the start.
    pub(crate) allowed_hosts: Vec<HostPattern>,
    /// What the system calls this host.
    pub(crate) host_name: Option<String>,
    /// What is enforced on the engine.
    pub(crate) sandbox: SandboxReport,
    /// What the engine itself found at its start and the operator should know; whole sentences.
    pub(crate) warnings: Vec<String>,
}

/// Clones share it.
#[derive(Clone)]
pub(crate) struct ApiState(Arc<Inner>);

struct Inner {
    store: Store,
    links: Links,
    identity: Identity,
    sessions: Sessions,
    sign_ins: SignIns,
    facts: Facts,
    sites: RwLock<Arc<Sites>>,
    shutdown: watch::Receiver<bool>,
    asking: Semaphore,
    reading: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    rotation: Rotation,
    ca_pem: OnceLock<String>,
}

impl ApiState {
    /// `shutdown` is the one that [`super::serve`] gets: streams end with it.
    pub(crate) fn new(
        store: Store,
        links: Links,
        identity: Identity,
        facts: Facts,
        shutdown: watch::Receiver<bool>,
    ) -> Self {
        let sites = Sites::new(facts.allowed_hosts.clone(), facts.host_name.as_deref());
        let sites = RwLock::new(Arc::new(sites));
        let rotation = Rotation::new(links.clone(), store.clone());
        let sessions = Sessions::new(links.clone(), identity.clone());
        let sign_ins = SignIns::new(links.clone(), identity.clone(), sessions.clone());
        Self(Arc::new(Inner {
            rotation,
            store,
            links,
            identity,
            sessions,
            sign_ins,
            facts,
            sites,
            shutdown,
            asking: Semaphore::new(ASKING),
            reading: Arc::new(Semaphore::new(READING)),
            streams: Arc::new(Semaphore::new(STREAMS)),
            ca_pem: OnceLock::new(),
        }))
    }

    pub(super) fn store(&self) -> &Store {
        &self.0.store
    }

    pub(super) fn links(&self) -> &Links {
        &self.0.links
    }

    /// The instance as a client of its authorization server.
    pub(super) fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// Sessions of those who signed in, as requests show them.
    pub(super) fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }

    /// Signing in and out.
    pub(super) fn sign_ins(&self) -> &SignIns {
        &self.0.sign_ins
    }

    /// The work on the keys of projects.
    pub(crate) fn rotation(&self) -> &Rotation {
        &self.0.rotation
    }

    pub(super) fn facts(&self) -> &Facts {
        &self.0.facts
    }

    pub(super) fn sites(&self) -> Arc<Sites> {
        self.0.sites.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes over another `api.allowed_hosts`.
    pub(crate) fn allow_hosts(&self, hosts: &[HostPattern]) {
        let sites = Sites::new(hosts.to_vec(), self.0.facts.host_name.as_deref());
        *self.0.sites.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(sites);
    }

    pub(super) fn ca_pem(&self) -> &OnceLock<String> {
        &self.0.ca_pem
    }

    pub(super) fn beat(&self) -> Duration {
        BEAT
    }

    pub(super) fn is_stopping(&self) -> bool {
        *self.0.shutdown.borrow()
    }

    /// Completes when the instance stops.
    pub(super) async fn stopping(&self) {
        let _ = self.0.shutdown.clone().wait_for(|stop| *stop).await;
    }

    /// One request at a time changes which projects there are, or which is open.
    pub(super) async fn turn_at_projects(&self) -> MutexGuard<'_, ()> {
        self.0.rotation.turn_at_projects().await
    }

    /// A turn to ask the keeper something on behalf of this client. The owner's socket needs none: strangers on TCP, who
    /// may be many and wait long, must not stand before it.
    pub(super) async fn turn_to_ask(&self, arrival: &Arrival) -> Result<Option<SemaphorePermit<'_>>, Refused> {
        if *arrival == Arrival::Unix {
            return Ok(None);
        }
        match tokio::time::timeout(TURN, self.0.asking.acquire()).await {
            Ok(Ok(turn)) => Ok(Some(turn)),
            _ => Err(busy("too many requests wait for the keeper")),
        }
    }

    /// The right to one event stream, for as long as it is held.
    pub(super) fn stream(&self) -> Result<OwnedSemaphorePermit, Refused> {
        self.0
            .streams
            .clone()
            .try_acquire_owned()
            .map_err(|_| busy(&format!("{STREAMS} event streams are open already")))
    }

    /// The id of the open project.
    ///
    /// # Errors
    /// `no_project_open`.
    pub(super) fn project(&self) -> Result<u64, Refused> {
        self.0.store.current().map(|project| project.id).ok_or_else(|| StoreError::NoProject.into())
    }

    /// Reads the store on a thread of its own. `project` must be open before and after, or flows of one project would be
    /// taken for those of another.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        project: u64,
        read: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Refused> {
        let switched = || Refused::new(ProblemCode::NoProjectOpen, "another project was opened meanwhile; ask again");
        let turn = tokio::time::timeout(TURN, self.0.reading.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(busy("too many requests read the project"));
        };
        if self.project()? != project {
            return Err(switched());
        }
        let store = self.0.store.clone();
        let reading = tokio::task::spawn_blocking(move || {
            // Held by the thread: a request that was given up still takes its place until the thread is free.
            let _turn = turn;
            read(&store)
        });
        let value =
            reading.await.map_err(|_| Refused::new(ProblemCode::Internal, "a thread of the store failed"))??;
        if self.project()? == project { Ok(value) } else { Err(switched()) }
    }

    /// One flow, with the project that it belongs to.
    pub(super) async fn detail(&self, id: u64) -> Result<(u64, Detail), Refused> {
        let project = self.project()?;
        let found = self.read(project, move |store| store.flow(id_of(id))).await?;
        let missing = || Refused::new(ProblemCode::NoSuchFlow, format!("the open project has no committed flow {id}"));
        Ok((project, found.ok_or_else(missing)?))
    }
}

fn busy(what: &str) -> Refused {
    Refused::new(ProblemCode::Busy, format!("{what}; try again"))
}
