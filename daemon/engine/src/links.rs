//! The engine's links to keeper and dialer: made by whoever supervises the instance, replaced when a peer restarts.
//! It connects to nobody; it only takes descriptors that are handed to it.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use merlon_sandbox::journal::{self, events};
use merlon_sandbox::seqpacket;
use merlon_wire::link::{
    AsyncLink, ConnectError, Connected, DialerClient, Driver, KeeperClient, KeeperError, Limits, LinkError,
};
use merlon_wire::parent::ToChild;
use merlon_wire::{Hello, MAX_FRAME, Role};
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long a request waits for a peer that is being restarted.
const AWAIT_PEER: Duration = Duration::from_secs(3);

/// Bounds of the keeper's link. It answers in order, a leaf in well under a millisecond.
const KEEPER: Limits = Limits { in_flight: 256, answer: Duration::from_secs(10) };

/// How long a peer that has connected may take to greet.
const GREETING_LIMIT: Duration = Duration::from_secs(5);

/// Requests that may wait for the dialer; it has a bound of its own.
const DIALS: usize = 1024;

/// The links as the rest of the engine uses them. Clones share them.
#[derive(Clone)]
pub(crate) struct Links {
    keeper: watch::Receiver<Option<(KeeperClient, Hello)>>,
    dialer: watch::Receiver<Option<(DialerClient, Hello)>>,
}

/// The side that puts links in place.
pub(crate) struct LinkKeeping {
    keeper: watch::Sender<Option<(KeeperClient, Hello)>>,
    dialer: watch::Sender<Option<(DialerClient, Hello)>>,
    dial_limits: Limits,
}

/// Where links come from.
pub(crate) enum LinkSource {
    /// `merlond run`: the parent sends one end of a pair for each new link.
    Parent(AsyncLink),
    /// systemd: keeper and dialer connect to this socket.
    Listener(AsyncFd<OwnedFd>),
}

impl LinkSource {
    /// The parent's socket.
    ///
    /// # Errors
    /// If the descriptor cannot be made non-blocking or watched.
    pub(crate) fn parent(socket: OwnedFd) -> io::Result<Self> {
        AsyncLink::new(socket).map(Self::Parent)
    }

    /// A listening socket.
    ///
    /// # Errors
    /// If the descriptor cannot be made non-blocking or watched.
    pub(crate) fn listener(socket: OwnedFd) -> io::Result<Self> {
        seqpacket::set_nonblocking(&socket, true)?;
        #[expect(deprecated, reason = "its successor is unsafe, and an OwnedFd keeps the promise that one asks for")]
        let socket = AsyncFd::new(socket)?;
        Ok(Self::Listener(socket))
    }

    /// How long a peer may take to greet; one whose link comes from the parent is perhaps not serving yet.
    fn greeting_limit(&self) -> Option<Duration> {
        match self {
            Self::Parent(_) => None,
            Self::Listener(_) => Some(GREETING_LIMIT),
        }
    }

    /// The next link; none if its source is gone for good.
    async fn next(&self) -> io::Result<Option<OwnedFd>> {
        match self {
            Self::Parent(parent) => {
                let mut buffer = vec![0; MAX_FRAME];
                let received = parent.recv(&mut buffer).await?;
                if received.len == 0 {
                    return Ok(None);
                }
                let message = merlon_wire::decode::<ToChild>(&buffer[..received.len]).map_err(io::Error::other)?;
                match (message, received.fd) {
                    (ToChild::Link { .. }, Some(link)) => Ok(Some(link)),
                    (ToChild::Link { .. }, None) => {
                        Err(io::Error::other("the parent sent a link without its descriptor"))
                    }
                }
            }
            Self::Listener(socket) => {
                socket.async_io(tokio::io::Interest::READABLE, |socket| seqpacket::accept(socket)).await.map(Some)
            }
        }
    }
}

/// Two halves: the links, and what keeps them.
pub(crate) fn links(connect_timeout: Duration) -> (Links, LinkKeeping) {
    let (keeper, keeper_seen) = watch::channel(None);
    let (dialer, dialer_seen) = watch::channel(None);
    // The dialer's own limits are 5 s to resolve and the configured time to connect; its reasons should arrive.
    let dial_limits = Limits { in_flight: DIALS, answer: connect_timeout + Duration::from_secs(7) };
    (Links { keeper: keeper_seen, dialer: dialer_seen }, LinkKeeping { keeper, dialer, dial_limits })
}

impl LinkKeeping {
    /// Takes links from the source and puts each in place, until the source is gone.
    ///
    /// # Errors
    /// What broke the source.
    pub(crate) async fn run(self, source: LinkSource) -> io::Result<()> {
        let keeping = Arc::new(self);
        let limit = source.greeting_limit();
        let mut drivers = JoinSet::new();
        loop {
            let link = tokio::select! {
                link = source.next() => link,
                Some(_) = drivers.join_next() => continue,
            };
            let Some(link) = link? else { return Ok(()) };
            let keeping = Arc::clone(&keeping);
            drivers.spawn(async move {
                match keeping.place(link, limit).await {
                    Ok((role, driver)) => {
                        let why = driver.run().await;
                        tell(&why, format_args!("the link to {} ended: {why}", role.program()));
                    }
                    Err(error) => tell(&error, format_args!("a new link is of no use: {error}")),
                }
            });
        }
    }

    async fn place(&self, link: OwnedFd, limit: Option<Duration>) -> Result<(Role, Driver), LinkError> {
        let link = AsyncLink::new(link)?;
        let hello = link.receive_hello(Role::Keeper, limit).await?;
        let role = hello.role;
        let driver = match role {
            Role::Keeper => {
                let (client, driver) = KeeperClient::new(link, KEEPER)?;
                self.keeper.send_replace(Some((client, hello)));
                driver
            }
            Role::Dialer => {
                let (client, driver) = DialerClient::new(link, self.dial_limits);
                self.dialer.send_replace(Some((client, hello)));
                driver
            }
            Role::Engine => return Err(LinkError::Protocol { role, what: "an engine at the other end" }),
        };
        Ok((role, driver))
    }
}

/// A peer that breaks the protocol, or has the wrong role, is an event.
fn tell(why: &LinkError, message: std::fmt::Arguments<'_>) {
    if why.is_violation() {
        journal::event(&events::PEER_DROPPED, message);
    } else {
        crate::log::warn(message);
    }
}

impl Links {
    /// The keeper, waiting a moment if it is being restarted.
    ///
    /// # Errors
    /// [`LinkError::HungUp`] if it does not come back in time.
    pub(crate) async fn keeper(&self) -> Result<KeeperClient, KeeperError> {
        let mut seen = self.keeper.clone();
        let there = seen.wait_for(|link| link.as_ref().is_some_and(|(client, _)| !client.is_closed()));
        match timeout(AWAIT_PEER, there).await {
            Ok(Ok(link)) => match &*link {
                Some((client, _)) => Ok(client.clone()),
                None => Err(LinkError::HungUp(Role::Keeper).into()),
            },
            _ => Err(LinkError::HungUp(Role::Keeper).into()),
        }
    }

    /// A connection to an origin. A dialer that was lost on the way is asked once more after its restart.
    ///
    /// # Errors
    /// The dialer's reason, or that it is not there.
    pub(crate) async fn connect(&self, host: &str, port: u16) -> Result<Connected, ConnectError> {
        match self.dialer().await?.connect(host, port).await {
            Err(ConnectError::Link(LinkError::HungUp(_))) => self.dialer().await?.connect(host, port).await,
            other => other,
        }
    }

    async fn dialer(&self) -> Result<DialerClient, LinkError> {
        let mut seen = self.dialer.clone();
        let there = seen.wait_for(|link| link.as_ref().is_some_and(|(client, _)| !client.is_closed()));
        match timeout(AWAIT_PEER, there).await {
            Ok(Ok(link)) => match &*link {
                Some((client, _)) => Ok(client.clone()),
                None => Err(LinkError::HungUp(Role::Dialer)),
            },
            _ => Err(LinkError::HungUp(Role::Dialer)),
        }
    }

    /// Who is connected at this moment, as each said of itself: keeper, dialer.
    pub(crate) fn peers(&self) -> [(Role, Option<Hello>); 2] {
        let keeper =
            self.keeper.borrow().as_ref().filter(|(client, _)| !client.is_closed()).map(|(_, hello)| hello.clone());
        let dialer =
            self.dialer.borrow().as_ref().filter(|(client, _)| !client.is_closed()).map(|(_, hello)| hello.clone());
        [(Role::Keeper, keeper), (Role::Dialer, dialer)]
    }
}
