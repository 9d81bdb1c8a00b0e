//! The links of an engine or a hub to its peers: made by whoever supervises it, replaced when a peer restarts. Nothing
//! here connects to anybody; it only takes descriptors that are handed in.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use merlon_sandbox::journal::{self, Priority, events};
use merlon_sandbox::seqpacket;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{AsyncLink, ConnectError, Connected, DialerClient, Driver, KeeperClient, KeeperError, Limits, LinkError};
use crate::parent::ToChild;
use crate::{Hello, MAX_FRAME, Role};

/// How long a request waits for a peer that is being restarted.
const AWAIT_PEER: Duration = Duration::from_secs(3);

/// Bounds of the keeper's link. It answers in order, a leaf in well under a millisecond.
const KEEPER: Limits = Limits { in_flight: 256, answer: Duration::from_secs(10) };

/// How long a peer that has connected may take to greet.
const GREETING_LIMIT: Duration = Duration::from_secs(5);

/// Links of one listening socket at once: the one in use, one that replaces it, and a few that have not greeted. Further
/// ones wait in the kernel, so that a peer gone wild takes no descriptors from the others.
const LINKS_AT_ONCE: usize = 8;

/// Pause after an accept that failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The links as the rest of the program uses them. Clones share them.
#[derive(Clone)]
pub struct Links {
    keeper: watch::Receiver<Option<(KeeperClient, Hello)>>,
    dialer: watch::Receiver<Option<(DialerClient, Hello)>>,
}

/// The side that puts links in place.
pub struct LinkKeeping {
    keeper: watch::Sender<Option<(KeeperClient, Hello)>>,
    dialer: watch::Sender<Option<(DialerClient, Hello)>>,
    dial_limits: Limits,
}

/// Where links come from.
pub enum LinkSource {
    /// `merlond run`: the parent sends one end of a pair for each new link.
    Parent(AsyncLink),
    /// systemd: each peer connects to a socket of its own.
    Listeners {
        /// Where the keeper connects.
        keeper: AsyncFd<OwnedFd>,
        /// Where the dialer connects; a hub has none.
        dialer: Option<AsyncFd<OwnedFd>>,
    },
}

impl LinkSource {
    /// The parent's socket.
    ///
    /// # Errors
    /// If the descriptor cannot be made non-blocking or watched.
    pub fn parent(socket: OwnedFd) -> io::Result<Self> {
        AsyncLink::new(socket).map(Self::Parent)
    }

    /// Listening sockets.
    ///
    /// # Errors
    /// If a descriptor cannot be made non-blocking or watched.
    pub fn listeners(keeper: OwnedFd, dialer: Option<OwnedFd>) -> io::Result<Self> {
        Ok(Self::Listeners { keeper: listener(keeper)?, dialer: dialer.map(listener).transpose()? })
    }
}

fn listener(socket: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    seqpacket::set_nonblocking(&socket, true)?;
    #[expect(deprecated, reason = "its successor is unsafe, and an OwnedFd keeps the promise that one asks for")]
    AsyncFd::new(socket)
}

/// The next link from the parent; none once it hangs up.
async fn from_parent(parent: &AsyncLink) -> io::Result<Option<OwnedFd>> {
    let mut buffer = vec![0; MAX_FRAME];
    let received = parent.recv(&mut buffer).await?;
    if received.len == 0 {
        return Ok(None);
    }
    let message = crate::decode::<ToChild>(&buffer[..received.len]).map_err(io::Error::other)?;
    match (message, received.fd) {
        (ToChild::Link { .. }, Some(link)) => Ok(Some(link)),
        (ToChild::Link { .. }, None) => Err(io::Error::other("the parent sent a link without its descriptor")),
    }
}

/// Why a new link is not put in place.
#[derive(Debug, thiserror::Error)]
enum Useless {
    #[error("a new link is of no use: {0}")]
    Link(#[from] LinkError),
    #[error(
        "whoever connected to the link socket of {} says that it is {}, and is dropped",
        socket.program(),
        claimed.program()
    )]
    Impostor { socket: Role, claimed: Role },
}

impl Useless {
    /// The peer broke the protocol, or is not who its socket says.
    fn is_violation(&self) -> bool {
        match self {
            Self::Link(error) => error.is_violation(),
            Self::Impostor { .. } => true,
        }
    }
}

/// Two halves: the links, and what keeps them. `dial_limits` are those of a dialer's link.
#[must_use]
pub fn links(dial_limits: Limits) -> (Links, LinkKeeping) {
    let (keeper, keeper_seen) = watch::channel(None);
    let (dialer, dialer_seen) = watch::channel(None);
    (Links { keeper: keeper_seen, dialer: dialer_seen }, LinkKeeping { keeper, dialer, dial_limits })
}

impl LinkKeeping {
    /// Takes links from the source and puts each in place. Ends when the parent is gone; listening sockets have no end.
    ///
    /// # Errors
    /// What broke the parent's socket.
    pub async fn run(self, source: LinkSource) -> io::Result<()> {
        let keeping = Arc::new(self);
        match source {
            LinkSource::Parent(parent) => {
                let mut links = JoinSet::new();
                while let Some(link) = from_parent(&parent).await? {
                    while links.try_join_next().is_some() {}
                    // It comes from the parent, so its peer is perhaps not serving yet.
                    links.spawn(Arc::clone(&keeping).serve(link, None));
                }
                Ok(())
            }
            LinkSource::Listeners { keeper, dialer } => {
                let dialers = async {
                    if let Some(dialer) = dialer {
                        Arc::clone(&keeping).listen(dialer, Role::Dialer).await;
                    }
                };
                tokio::join!(Arc::clone(&keeping).listen(keeper, Role::Keeper), dialers);
                Ok(())
            }
        }
    }

    /// Takes the links of one peer. Never ends.
    async fn listen(self: Arc<Self>, socket: AsyncFd<OwnedFd>, peer: Role) {
        let mut links = JoinSet::new();
        loop {
            while links.try_join_next().is_some() {}
            if links.len() >= LINKS_AT_ONCE {
                links.join_next().await;
                continue;
            }
            match socket.async_io(tokio::io::Interest::READABLE, |socket| seqpacket::accept(socket)).await {
                Ok(link) => {
                    links.spawn(Arc::clone(&self).serve(link, Some(peer)));
                }
                Err(error) => {
                    warn(format_args!("a link of {} could not be accepted: {error}", peer.program()));
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// One link from its greeting to its end. `peer` is who alone may open the socket that it came by.
    async fn serve(self: Arc<Self>, link: OwnedFd, peer: Option<Role>) {
        match self.place(link, peer).await {
            Ok((role, driver)) => {
                let why = driver.run().await;
                tell(why.is_violation(), format_args!("the link to {} ended: {why}", role.program()));
            }
            Err(error) => tell(error.is_violation(), format_args!("{error}")),
        }
    }

    async fn place(&self, link: OwnedFd, peer: Option<Role>) -> Result<(Role, Driver), Useless> {
        let link = AsyncLink::new(link).map_err(LinkError::from)?;
        let hello = link.receive_hello(peer.unwrap_or(Role::Keeper), peer.map(|_| GREETING_LIMIT)).await?;
        let role = hello.role;
        if let Some(socket) = peer
            && socket != role
        {
            return Err(Useless::Impostor { socket, claimed: role });
        }
        // The one before is of no use any more, whether its peer has noticed or not.
        let driver = match role {
            Role::Keeper => {
                let (client, driver) = KeeperClient::new(link, KEEPER)?;
                if let Some((before, _)) = self.keeper.send_replace(Some((client, hello))) {
                    before.hang_up();
                }
                driver
            }
            Role::Dialer => {
                let (client, driver) = DialerClient::new(link, self.dial_limits);
                if let Some((before, _)) = self.dialer.send_replace(Some((client, hello))) {
                    before.hang_up();
                }
                driver
            }
            Role::Engine | Role::Hub => {
                return Err(
                    LinkError::Protocol { role, what: "a program that is asked nothing at the other end" }.into()
                );
            }
        };
        Ok((role, driver))
    }
}

fn warn(message: std::fmt::Arguments<'_>) {
    journal::write(Priority::Warning, message);
}

/// A peer that breaks the protocol, or has the wrong role, is an event.
fn tell(violation: bool, message: std::fmt::Arguments<'_>) {
    if violation {
        journal::event(&events::PEER_DROPPED, message);
    } else {
        warn(message);
    }
}

impl Links {
    /// The keeper, waiting a moment if it is being restarted.
    ///
    /// # Errors
    /// [`LinkError::HungUp`] if it does not come back in time.
    pub async fn keeper(&self) -> Result<KeeperClient, KeeperError> {
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
    pub async fn connect(&self, host: &str, port: u16) -> Result<Connected, ConnectError> {
        match self.dialer().await?.connect(host, port).await {
            Err(ConnectError::Link(LinkError::HungUp(_))) => self.dialer().await?.connect(host, port).await,
            other => other,
        }
    }

    /// The dialer, waiting a moment if it is being restarted.
    ///
    /// # Errors
    /// [`LinkError::HungUp`] if it does not come back in time.
    pub async fn dialer(&self) -> Result<DialerClient, LinkError> {
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

    /// The keeper, if it is connected at this moment.
    #[must_use]
    pub fn keeper_now(&self) -> Option<KeeperClient> {
        self.keeper.borrow().as_ref().map(|(client, _)| client.clone()).filter(|client| !client.is_closed())
    }

    /// Who is connected at this moment, as each said of itself: keeper, dialer.
    #[must_use]
    pub fn peers(&self) -> [(Role, Option<Hello>); 2] {
        let keeper =
            self.keeper.borrow().as_ref().filter(|(client, _)| !client.is_closed()).map(|(_, hello)| hello.clone());
        let dialer =
            self.dialer.borrow().as_ref().filter(|(client, _)| !client.is_closed()).map(|(_, hello)| hello.clone());
        [(Role::Keeper, keeper), (Role::Dialer, dialer)]
    }
}

#[cfg(test)]
mod tests;
