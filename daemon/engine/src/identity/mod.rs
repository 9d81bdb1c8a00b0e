//! The instance as a client of its authorization server: it finds the server, registers with it, keeps what that gave with
//! the keeper, and asks it on behalf of those who sign in. Any compliant server will do; a hub of ours is told apart by
//! its metadata alone.
//!
//! It must not decide who may do what here, keep a token or a code of a person, hold a secret longer than one request, or
//! open a connection itself (the dialer does). Nothing else in the engine speaks to an authorization server.
//!
//! | module | does |
//! |---|---|
//! | `setup` | what comes from files |
//! | `url`, `http` | where, and one request |
//! | `discovery`, `keys` | what the server says of itself, and its keys |
//! | `answers`, `error` | what it answers, and why something failed |
//! | `requests` | token, device, introspection, revocation: with client authentication |
//! | `ladder`, `registration`, `management` | the registration, from first try to deletion (RFC 7591, 7592) |
//! | `hub` | what the instance does in its own name |
//! | `lifecycle` | the one task that does all of this when it is time |

mod answers;
mod discovery;
mod error;
mod http;
mod hub;
mod keys;
mod ladder;
mod lifecycle;
mod management;
mod registration;
mod requests;
mod setup;
mod url;

use std::sync::Arc;
use std::time::{Duration, Instant};

use merlon_api::IdentityState;
use merlon_wire::identity::{Client, Owner};
use tokio::sync::{Mutex, Notify, watch};

use crate::links::Links;

pub(crate) use answers::{Introspection, TokenType, Tokens};
pub(crate) use discovery::Server;
pub(crate) use error::{IdentityError, OAuthError};
pub(crate) use ladder::DEVICE_GRANT;
pub(crate) use lifecycle::run;
pub(crate) use setup::{Setup, SetupError};

use discovery::{FRESH, discover};
use http::Http;
use keys::Keys;

/// The clocks differ noticeably from so many seconds on.
const CLOCK_SECONDS: i64 = 120;

/// So long it is taken for granted that a server that was not reached still cannot be.
const MISSED: Duration = Duration::from_millis(500);

/// The identity. Clones share it.
#[derive(Clone)]
pub(crate) struct Identity(Arc<Inner>);

struct Inner {
    setup: Setup,
    links: Links,
    http: Http,
    current: watch::Sender<Arc<Snapshot>>,
    /// What the server said of itself; whoever finds it old asks again while others wait.
    server: Mutex<Asked>,
    keys: Mutex<Keys>,
    /// Held by whoever changes the registration.
    turn: Mutex<()>,
    /// When the instance's own access token is to be renewed.
    own_token_due: std::sync::Mutex<Option<Instant>>,
    /// There is something for the background task to do now.
    wake: Notify,
}

/// What came of asking the server what it is.
#[derive(Default)]
struct Asked {
    server: Option<Arc<Server>>,
    /// When it was not reached last, and why.
    missed: Option<(Instant, String)>,
}

/// How things stand, at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    /// How far it is.
    pub(crate) state: IdentityState,
    /// The configured issuer.
    pub(crate) issuer: Option<String>,
    /// What the server says of itself, once it could be asked.
    pub(crate) server: Option<Arc<Server>>,
    /// The client that is registered with that issuer.
    pub(crate) client: Option<Client>,
    /// Who owns the instance.
    pub(crate) owner: Option<Owner>,
    /// Why signing in does not work at present, and what to do.
    pub(crate) problem: Option<String>,
}

impl Snapshot {
    /// What access tokens of people must have as audience: the instance's own name at a hub of ours; elsewhere the
    /// resource that is configured, else the client id.
    pub(crate) fn audience(&self, resource: Option<&str>) -> Option<String> {
        let client = self.client.as_ref()?;
        Some(match (&self.server, resource) {
            (Some(server), _) if server.is_hub() => format!("urn:merlon:instance:{}", client.client_id),
            (_, Some(resource)) => resource.to_owned(),
            (_, None) => client.client_id.clone(),
        })
    }
}

impl Identity {
    /// Nothing is asked before [`Identity::synchronize`], or the background task, begins.
    pub(crate) fn new(setup: Setup, links: Links) -> Self {
        let http = Http::new(links.clone(), Arc::clone(&setup.tls), setup.proxy.clone());
        let issuer = setup.issuer.as_ref().map(|issuer| issuer.as_str().to_owned());
        let state = if issuer.is_some() { IdentityState::Unregistered } else { IdentityState::Local };
        let snapshot = Snapshot { state, issuer, server: None, client: None, owner: None, problem: None };
        Self(Arc::new(Inner {
            setup,
            links,
            http,
            current: watch::Sender::new(Arc::new(snapshot)),
            server: Mutex::default(),
            keys: Mutex::default(),
            turn: Mutex::default(),
            own_token_due: std::sync::Mutex::default(),
            wake: Notify::new(),
        }))
    }

    /// `[identity]` as it was at the start.
    pub(crate) fn config(&self) -> &merlon_config::Identity {
        &self.0.setup.config
    }

    /// How things stand.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.0.current.borrow().clone()
    }

    /// This host's clock minus the server's, in minutes, if they differed noticeably at its last answer.
    pub(crate) fn clock_minutes(&self) -> Option<i64> {
        self.0.http.clock().filter(|seconds| seconds.abs() > CLOCK_SECONDS).map(|seconds| {
            // Away from zero: three minutes and a half are told as four.
            (seconds + seconds.signum() * 59) / 60
        })
    }

    /// Takes over what the keeper has: after a claim, a reset, or at a start.
    ///
    /// # Errors
    /// [`IdentityError::Keeper`].
    pub(crate) async fn synchronize(&self) -> Result<(), IdentityError> {
        let kept = self.0.links.keeper().await?.identity().await?;
        self.0.current.send_modify(|current| {
            let mut next = Snapshot::clone(current);
            let known = |client: &Client| Some(&client.issuer) == next.issuer.as_ref();
            let client = kept.client.clone().filter(known);
            // That it was deleted there is known of that very registration.
            let same = client.as_ref().map(|client| &client.client_id) == next.client.as_ref().map(|c| &c.client_id);
            next.state = match (&next.issuer, &client, &kept.owner) {
                (None, ..) => IdentityState::Local,
                (_, None, _) => IdentityState::Unregistered,
                (_, Some(_), _) if next.state == IdentityState::Deleted && same => IdentityState::Deleted,
                (_, Some(_), None) => IdentityState::Unclaimed,
                (_, Some(_), Some(_)) => IdentityState::Claimed,
            };
            next.client = client;
            next.owner = kept.owner.clone();
            *current = Arc::new(next);
        });
        Ok(())
    }

    /// Has the background task look at once: what stood in its way may be gone.
    pub(crate) fn wake(&self) {
        self.0.wake.notify_one();
    }

    /// What the server says of itself, asked again once an hour. What was read before goes on to hold while the server
    /// cannot be reached.
    ///
    /// # Errors
    /// [`IdentityError::Unavailable`] without an issuer; what stood in the way of asking.
    pub(crate) async fn server(&self) -> Result<Arc<Server>, IdentityError> {
        let issuer = self.0.setup.issuer.as_ref().ok_or_else(local)?;
        let mut asked = self.0.server.lock().await;
        if let Some(server) = &asked.server
            && server.read.elapsed() < FRESH
        {
            return Ok(Arc::clone(server));
        }
        // Whoever waited while somebody else asked in vain does not wait for the same once more.
        if let Some((when, what)) = &asked.missed
            && when.elapsed() < MISSED
        {
            return Err(IdentityError::Unreachable { what: what.clone(), retry_after: None });
        }
        match (discover(&self.0.http, issuer).await, &asked.server) {
            (Ok(server), _) => {
                let server = Arc::new(server);
                *asked = Asked { server: Some(Arc::clone(&server)), missed: None };
                self.change(|snapshot| snapshot.server = Some(Arc::clone(&server)));
                Ok(server)
            }
            (Err(error), Some(old)) if error.is_unreachable() => {
                // Asked again in a while, not with every request.
                let kept = Arc::new(Server { read: Instant::now() - FRESH / 2, ..Server::clone(old) });
                asked.server = Some(Arc::clone(&kept));
                Ok(kept)
            }
            (Err(error), _) => {
                if let IdentityError::Unreachable { what, .. } = &error {
                    asked.missed = Some((Instant::now(), what.clone()));
                }
                Err(error)
            }
        }
    }

    /// The server's keys (RFC 7517), as JSON: the same `Arc` as long as nothing new was read. With `again` they are read
    /// once more, unless that was done a moment ago: a token with a key that nobody knows must not make work.
    ///
    /// # Errors
    /// [`IdentityError::Unavailable`] where the server has none; what stood in the way of asking.
    pub(crate) async fn jwks(&self, again: bool) -> Result<Arc<[u8]>, IdentityError> {
        let server = self.server().await?;
        let place = server.jwks.as_ref().ok_or_else(|| {
            IdentityError::Unavailable("the authorization server publishes no keys (`jwks_uri`)".into())
        })?;
        self.0.keys.lock().await.get(&self.0.http, place, again).await
    }

    fn change(&self, change: impl FnOnce(&mut Snapshot)) {
        self.0.current.send_modify(|current| {
            let mut next = Snapshot::clone(current);
            change(&mut next);
            *current = Arc::new(next);
        });
    }

    /// The registered client.
    fn client(&self) -> Result<Client, IdentityError> {
        let snapshot = self.snapshot();
        match (&snapshot.client, &snapshot.issuer, snapshot.state) {
            (_, None, _) => Err(local()),
            (_, Some(issuer), IdentityState::Deleted) => Err(IdentityError::Deleted { issuer: issuer.clone() }),
            (Some(client), ..) => Ok(client.clone()),
            (None, Some(issuer), _) => {
                // Somebody waits for it now.
                self.wake();
                Err(IdentityError::Unavailable(match &snapshot.problem {
                    Some(problem) => format!("the instance is not registered with {issuer} yet: {problem}"),
                    None => {
                        format!(
                            "the instance is not registered with {issuer} yet; it tries by itself, local tokens work"
                        )
                    }
                }))
            }
        }
    }
}

fn local() -> IdentityError {
    IdentityError::Unavailable("no authorization server is configured (`identity.issuer`); local tokens work".into())
}
