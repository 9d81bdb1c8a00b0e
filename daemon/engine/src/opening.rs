//! From started to open: what the engine asks of the keeper once it is unlocked, in order. CA certificate, certificate
//! of the API, the project that was open last.

use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use merlon_sandbox::{files, seqpacket};
use merlon_wire::keeper::{LockState, Project};
use merlon_wire::link::{KeeperClient, KeeperError, LinkError};
use merlon_wire::parent::{FromChild, Ready};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::api_tls::{ApiTls, IssueError};
use crate::links::Links;
use crate::log;
use crate::proxy::Ca;
use crate::rotation::{self, ProjectError, Rotation};
use crate::store::{ProjectMeta, Store};

/// The project that a new instance opens.
const FIRST_PROJECT: &str = "default";

/// How often a locked keeper is asked whether it is open, and a failed opening is tried again.
const RETRY: Duration = Duration::from_millis(250);

/// How long a first attempt goes on although it failed: a keeper that was restarted together with the engine may have left
/// a connection behind in the link socket, which says nothing of the keeper that comes next.
const FIRST_ATTEMPT: Duration = Duration::from_secs(3);

/// What an open instance has to show.
pub(crate) struct Opened {
    /// The CA.
    pub(crate) ca: Ca,
    /// Where its certificate was written.
    pub(crate) ca_file: PathBuf,
}

/// How far the opening has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The first attempt is under way.
    Untried,
    /// There is no keeper to ask.
    NoKeeper,
    /// The keeper still tries the keyslots that open by themselves, and the first attempt waits for it.
    Opening,
    /// The keeper is locked, or is not waited for any longer.
    Locked,
    /// Something else is in the way; what, in words for the operator.
    Failed(String),
    /// It was opened.
    Open,
}

/// Why an instance is not open yet.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error("it is locked; run `merlon unlock`")]
    Locked,
    #[error("the keeper still tries the keyslots that open by themselves; if none does, run `merlon unlock`")]
    Opening,
    #[error(transparent)]
    Keeper(#[from] KeeperError),
    #[error(transparent)]
    Certificate(#[from] IssueError),
    #[error("the project could not be opened: {0}")]
    Project(#[from] ProjectError),
    #[error("{} cannot be written: {source}; make its directory writable for this user", path.display())]
    CaFile { path: PathBuf, source: io::Error },
}

impl OpenError {
    fn phase(&self) -> Phase {
        match self {
            Self::Locked => Phase::Locked,
            Self::Opening => Phase::Opening,
            Self::Keeper(KeeperError::Link(LinkError::HungUp(_) | LinkError::TimedOut { .. })) => Phase::NoKeeper,
            other => Phase::Failed(other.to_string()),
        }
    }
}

/// Opens the instance, however long it takes: a locked keeper is asked again, a keeper that died comes back, a store
/// that cannot be opened is told once and tried again. `phase` has why the last attempt failed; that it is open is for the
/// caller to say, once others may rely on it. The first attempt waits up to `patience` for a keeper that still tries its
/// keyslots.
pub(crate) async fn open(
    links: &Links,
    store: &Store,
    rotation: &Rotation,
    api_tls: &ApiTls,
    store_dir: &Path,
    phase: &watch::Sender<Phase>,
    patience: Duration,
) -> Opened {
    let mut told = String::new();
    let mut first = FirstAttempt { begun: Instant::now(), waiting_since: None, patience, over: false };
    loop {
        match try_open(links, store, rotation, api_tls, store_dir).await {
            Ok(opened) => {
                if !told.is_empty() {
                    store.tell(None);
                }
                return opened;
            }
            Err(error) => {
                let Some(outcome) = first.outcome(error.phase(), Instant::now()) else {
                    sleep(RETRY).await;
                    continue;
                };
                phase.send_replace(outcome);
                let text = error.to_string();
                if text != told {
                    log::warn(format_args!("the instance is not open: {text}"));
                    store.tell(Some(text.clone()));
                    told = text;
                }
                sleep(RETRY).await;
            }
        }
    }
}

/// The first attempt to open the instance, for which clients of the proxy wait.
struct FirstAttempt {
    begun: Instant,
    /// When the keeper first said that it still tries its keyslots.
    waiting_since: Option<Instant>,
    /// How long it may.
    patience: Duration,
    over: bool,
}

impl FirstAttempt {
    /// What a try has come to at this time; none while the attempt goes on with nothing to tell.
    fn outcome(&mut self, tried: Phase, now: Instant) -> Option<Phase> {
        let outcome = match tried {
            Phase::Opening if self.over => Phase::Locked,
            Phase::Opening => {
                let since = *self.waiting_since.get_or_insert(now);
                // It may die over it and come again.
                self.begun = now;
                if now.duration_since(since) < self.patience { Phase::Opening } else { Phase::Locked }
            }
            Phase::Locked => Phase::Locked,
            _ if !self.over && now.duration_since(self.begun) < FIRST_ATTEMPT => return None,
            other => other,
        };
        self.over |= outcome != Phase::Opening;
        Some(outcome)
    }
}

/// Addresses that the keeper takes from one engine.
const OVERRIDES: usize = 16;

/// Tells the keeper, for its audit log, at which addresses the proxy can be reached by others than this host. A keeper
/// that is locked takes it too; one that does not answer is asked again.
pub(crate) async fn tell_overrides(links: Links, addresses: Vec<String>) {
    if addresses.len() > OVERRIDES {
        log::warn(format_args!("only {OVERRIDES} of {} public listeners are in the audit log", addresses.len()));
    }
    for address in addresses.iter().take(OVERRIDES) {
        loop {
            let told = async { links.keeper().await?.tell_override(address).await };
            match told.await {
                Ok(()) => break,
                Err(KeeperError::Refused(refusal)) => {
                    log::warn(format_args!("the listener on {address} is not in the audit log: {refusal}"));
                    break;
                }
                Err(_) => sleep(RETRY).await,
            }
        }
    }
}

async fn try_open(
    links: &Links,
    store: &Store,
    rotation: &Rotation,
    api_tls: &ApiTls,
    store_dir: &Path,
) -> Result<Opened, OpenError> {
    let keeper = links.keeper().await?;
    let status = keeper.status().await?;
    match status.state {
        LockState::Unlocked => {}
        LockState::Locked => return Err(OpenError::Locked),
        LockState::Opening => return Err(OpenError::Opening),
    }
    let ca = Ca::new(keeper.ca_certificate().await?);
    files::write_atomic(store_dir, "ca.pem", ca.pem.as_bytes(), 0o644)
        .map_err(|source| OpenError::CaFile { path: store_dir.join("ca.pem"), source })?;
    api_tls.ask_for_certificate(&keeper).await?;
    // Nobody may replace a project's key between the keeper's answer and the file that is made with it.
    let _turn = rotation.turn_at_projects().await;
    if store.current().is_none() {
        let project = last_project(&keeper, status.last_project).await?;
        rotation::open(&keeper, store, ProjectMeta { id: project.id, name: project.name }).await?;
    }
    Ok(Opened { ca, ca_file: store_dir.join("ca.pem") })
}

/// The project opened last, else the first there is, else a new one.
async fn last_project(keeper: &KeeperClient, last: Option<u64>) -> Result<Project, KeeperError> {
    let mut projects = keeper.list_projects().await?;
    projects.sort_by_key(|project| project.id);
    let found = projects.iter().position(|project| Some(project.id) == last).or((!projects.is_empty()).then_some(0));
    match found {
        Some(index) => Ok(projects.swap_remove(index)),
        None => keeper.create_project(FIRST_PROJECT).await,
    }
}

/// Tells the parent that the engine serves.
pub(crate) fn announce(opened: &Opened, parent: BorrowedFd<'_>) {
    let ready = FromChild::Ready(Ready::Engine {
        ca_file: opened.ca_file.display().to_string(),
        ca_fingerprint: opened.ca.fingerprint.clone(),
    });
    let mut buffer = vec![0; merlon_wire::MAX_FRAME];
    let told = merlon_wire::encode(&ready, &mut buffer)
        .map_err(io::Error::other)
        .and_then(|used| seqpacket::send(parent, &buffer[..used], None));
    if let Err(error) = told {
        log::warn(format_args!("the parent could not be told that the engine serves: {error}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_attempt_waits_for_a_keeper_that_tries_its_keyslots_and_not_for_ever() {
        let begun = Instant::now();
        let after = |seconds| begun + Duration::from_secs(seconds);
        let attempt = || FirstAttempt { begun, waiting_since: None, patience: Duration::from_secs(180), over: false };
        let mut first = attempt();
        assert_eq!(first.outcome(Phase::NoKeeper, after(2)), None);
        assert_eq!(first.outcome(Phase::Opening, after(2)), Some(Phase::Opening));
        assert_eq!(first.outcome(Phase::Opening, after(181)), Some(Phase::Opening));
        // It died, and a new one has begun.
        assert_eq!(first.outcome(Phase::NoKeeper, after(181)), None);
        assert_eq!(first.outcome(Phase::Opening, after(182)), Some(Phase::Locked));
        // Nobody waits any more.
        assert_eq!(first.outcome(Phase::Opening, after(183)), Some(Phase::Locked));
        assert_eq!(first.outcome(Phase::NoKeeper, after(183)), Some(Phase::NoKeeper));

        let mut first = attempt();
        assert_eq!(first.outcome(Phase::Opening, begun), Some(Phase::Opening));
        assert_eq!(first.outcome(Phase::Locked, after(1)), Some(Phase::Locked));
        assert_eq!(first.outcome(Phase::Opening, after(2)), Some(Phase::Locked));

        let mut first = attempt();
        assert_eq!(first.outcome(Phase::NoKeeper, after(3)), Some(Phase::NoKeeper));
        assert_eq!(first.outcome(Phase::Failed("why".into()), after(3)), Some(Phase::Failed("why".into())));
    }
}
