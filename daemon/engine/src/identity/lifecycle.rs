//! The one task that keeps the instance registered: it waits for the instance to be open, finds the server, registers when
//! it can, renews the instance's own token, and reports to a hub of ours. What fails is tried again, ever more seldom; that
//! it fails is in the status, and once in the journal. Traffic and local tokens never wait for it.

use std::sync::Arc;
use std::time::Duration;

use merlon_api::IdentityState;
use merlon_sandbox::journal::{self, events};
use tokio::sync::watch;
use tokio::time::sleep;

use super::Identity;
use super::error::IdentityError;
use super::management::Standing;
use crate::log;
use crate::opening::Phase;

/// Between two reports to a hub of ours; also how often any other server is looked at.
const REPORT: Duration = Duration::from_secs(600);
/// Between the first two tries.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// Between later ones at most.
const LAST_RETRY: Duration = Duration::from_secs(300);

/// What was told to the operator.
#[derive(Default)]
struct Told {
    unreachable: bool,
    deleted: bool,
    problem: String,
}

/// What a start does once.
struct Due {
    /// The client that the operator configured is handed to the keeper: it may be another one now, or have another secret.
    take_over: bool,
    /// The server is told of another name or version.
    update: bool,
}

/// Does all of it until the engine stops.
pub(crate) async fn run(identity: Identity, mut phase: watch::Receiver<Phase>, mut stopping: watch::Receiver<bool>) {
    if identity.0.setup.issuer.is_none() {
        return;
    }
    tokio::select! {
        _ = phase.wait_for(|phase| *phase == Phase::Open) => {}
        _ = stopping.wait_for(|stop| *stop) => return,
    }
    let mut told = Told::default();
    let mut due = Due { take_over: identity.config().client_id.is_some(), update: true };
    let mut failures = 0;
    loop {
        // A step is not cut short: what it began at the server it keeps with the keeper.
        let done = identity.step(&mut due).await;
        let pause = match &done {
            Ok(pause) => {
                failures = 0;
                *pause
            }
            Err(error) => {
                failures += 1;
                retry_after(error, failures, random())
            }
        };
        identity.tell(done.err(), &mut told);
        let woken = async {
            // Whoever wakes it all the time still does not make it hurry.
            sleep(FIRST_RETRY).await;
            identity.0.wake.notified().await;
        };
        tokio::select! {
            () = sleep(pause) => {}
            () = woken => {}
            _ = stopping.wait_for(|stop| *stop) => return,
        }
    }
}

impl Identity {
    /// Brings the registration one step further, and says when the next is due.
    async fn step(&self, due: &mut Due) -> Result<Duration, IdentityError> {
        let kept = self.0.links.keeper().await?.identity().await?;
        self.synchronize().await?;
        let configured = self.snapshot().issuer.clone().unwrap_or_default();
        if let Some(client) = &kept.client
            && client.issuer != configured
        {
            return Err(IdentityError::Unavailable(format!(
                "the instance is registered with {}, and identity.issuer is now {configured}; owner and sessions belong to \
                 the former: `merlon identity reset` forgets them and registers with the latter",
                client.issuer
            )));
        }
        let server = self.server().await?;
        match &kept.client {
            None => {
                let _turn = self.0.turn.lock().await;
                // Meanwhile it may have been reset: the key is the one that the keeper has now.
                let kept = self.0.links.keeper().await?.identity().await?;
                if kept.client.is_none() {
                    self.register(&kept).await?;
                    due.take_over = false;
                    log::info(format_args!("the instance is registered with {configured}"));
                }
            }
            Some(_) if due.take_over => {
                let _turn = self.0.turn.lock().await;
                self.register(&kept).await?;
                due.take_over = false;
            }
            Some(client) if self.snapshot().state == IdentityState::Deleted => {
                let _turn = self.0.turn.lock().await;
                match self.look_up(client).await? {
                    Standing::Stands => {}
                    Standing::Gone => return Ok(REPORT),
                    // Its next token request will tell.
                    Standing::Unknown => {
                        self.forget_own_token();
                        self.forget_deleted();
                        self.synchronize().await?;
                    }
                }
            }
            Some(client) if due.update => {
                let _turn = self.0.turn.lock().await;
                match self.update(client).await {
                    Err(error) if error.is_unreachable() => return Err(error),
                    // The instance works with what the server has, too.
                    Err(error) => log::warn(format_args!(
                        "the authorization server could not be told of another name or version: {error}"
                    )),
                    Ok(()) => {}
                }
                due.update = false;
            }
            Some(_) => {}
        }
        if !due.take_over {
            self.0.setup.forget_secrets();
        }
        let next = self.keep_own_token().await?;
        if let Some(place) = &server.instance
            && self.config().report
        {
            match self.report(place).await {
                Ok(false) => {}
                Ok(true) => {
                    let _turn = self.0.turn.lock().await;
                    if let Some(client) = self.0.links.keeper().await?.identity().await?.client {
                        self.look_up(&client).await?;
                    }
                }
                // One can sign in all the same.
                Err(error @ (IdentityError::Refused(_) | IdentityError::Misbehaved(_))) => {
                    log::warn(format_args!("the hub does not take the report that the instance lives: {error}"));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(next.unwrap_or(REPORT).clamp(FIRST_RETRY, REPORT))
    }

    /// Puts what came of a step into the status, and into the journal what is new.
    fn tell(&self, error: Option<IdentityError>, told: &mut Told) {
        let snapshot = self.snapshot();
        let issuer = snapshot.issuer.clone().unwrap_or_default();
        let deleted = snapshot.state == IdentityState::Deleted;
        let error = error.or_else(|| deleted.then(|| IdentityError::Deleted { issuer: issuer.clone() }));
        let problem = error.as_ref().map(ToString::to_string);
        self.change(|snapshot| snapshot.problem.clone_from(&problem));
        let unreachable = error.as_ref().is_some_and(IdentityError::is_unreachable);
        match (&error, told.unreachable) {
            (Some(error), false) if unreachable => {
                journal::event(&events::ISSUER_UNREACHABLE, format_args!("{error}; local tokens work meanwhile"));
            }
            (_, true) if !unreachable => {
                journal::event(
                    &events::ISSUER_REACHABLE,
                    format_args!("the authorization server {issuer} answers again"),
                );
            }
            _ => {}
        }
        if deleted && !told.deleted {
            journal::event(&events::INSTANCE_DELETED, format_args!("{}", problem.clone().unwrap_or_default()));
        }
        let problem = problem.unwrap_or_default();
        if !problem.is_empty() && !unreachable && !deleted && problem != told.problem {
            log::warn(format_args!("nobody can sign in at present: {problem}"));
        }
        *told = Told { unreachable, deleted, problem };
    }

    /// The server knows the client after all, or it is another one.
    pub(super) fn forget_deleted(&self) {
        self.change(|snapshot| {
            if snapshot.state == IdentityState::Deleted {
                snapshot.state = IdentityState::Unregistered;
            }
        });
    }

    /// The server has refused the client: is it gone?
    pub(super) async fn is_gone(&self, refused: &merlon_wire::identity::Client) -> Result<bool, IdentityError> {
        let _turn = self.0.turn.lock().await;
        let now = self.0.links.keeper().await?.identity().await?.client;
        match now {
            // Meanwhile it is another one, or has other credentials.
            Some(client) if client == *refused => match self.look_up(&client).await? {
                Standing::Stands => Ok(false),
                Standing::Gone | Standing::Unknown => {
                    self.0.current.send_modify(|current| {
                        let mut next = super::Snapshot::clone(current);
                        next.state = IdentityState::Deleted;
                        *current = Arc::new(next);
                    });
                    Ok(true)
                }
            },
            _ => Ok(false),
        }
    }
}

/// When to try again after so many failures: ever later, never all instances at once, and not before the server wants it.
fn retry_after(error: &IdentityError, failures: u32, random: u8) -> Duration {
    let backoff = FIRST_RETRY.saturating_mul(1 << failures.saturating_sub(1).min(9)).min(LAST_RETRY);
    // Three to five quarters of it.
    let jittered = backoff * (192 + u32::from(random) / 2) / 256;
    let wanted = match error {
        IdentityError::Unreachable { retry_after: Some(seconds), .. } => Duration::from_secs((*seconds).into()),
        _ => Duration::ZERO,
    };
    jittered.max(wanted.min(LAST_RETRY))
}

fn random() -> u8 {
    let mut byte = [0];
    // Without it the pauses are only less spread.
    aws_lc_rs::rand::fill(&mut byte).map_or(0, |()| byte[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_become_rare_and_never_stop() {
        let plain = IdentityError::Misbehaved(String::new());
        let at = |failures, random| retry_after(&plain, failures, random);
        assert_eq!(at(1, 0), Duration::from_millis(750));
        assert!(at(1, 255) < Duration::from_millis(1250));
        assert_eq!(at(3, 128), Duration::from_secs(4));
        for failures in [10, 20, u32::MAX] {
            assert_eq!(at(failures, 128), LAST_RETRY);
        }
    }

    #[test]
    fn the_servers_own_word_counts_within_bounds() {
        let wants = |seconds| IdentityError::Unreachable { what: String::new(), retry_after: Some(seconds) };
        assert_eq!(retry_after(&wants(60), 1, 0), Duration::from_secs(60));
        assert_eq!(retry_after(&wants(u32::MAX), 1, 0), LAST_RETRY);
    }
}
