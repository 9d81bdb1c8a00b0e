//! One request: resolve once, judge every address, connect to one of those that passed.
//!
//! The address judged is the address connected: between the two nothing is resolved, parsed or looked up again.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use merlon_config::Egress;
use merlon_wire::dialer::DialError;
use tokio::net::TcpSocket;
use tokio::time::Instant;

use crate::eyeballs::{self, AllFailed};
use crate::policy::{Host, Policy};
use crate::resolve::Resolver;
use crate::target::Target;

/// More addresses of one name are not tried: ten seconds would not do for them.
const MOST_ADDRESSES: usize = 16;
/// The longest text from the system or a name server that is passed on, in bytes.
const LONGEST_REASON: usize = 200;

/// A connection and how long it took.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) fd: OwnedFd,
    pub(crate) address: SocketAddr,
    pub(crate) resolve: Duration,
    pub(crate) connect: Duration,
}

/// What the configuration says; replaced as a whole.
pub(crate) struct Rules {
    policy: Policy,
    connect_limit: Duration,
}

impl Rules {
    pub(crate) fn new(egress: Egress, own_listeners: &[SocketAddr]) -> Self {
        Self { connect_limit: egress.connect_timeout(), policy: Policy::new(egress, own_listeners) }
    }
}

/// All that a request needs.
pub(crate) struct Dialer {
    resolver: Resolver,
    rules: RwLock<Arc<Rules>>,
    host: Box<dyn Host + Send + Sync>,
}

impl Dialer {
    pub(crate) fn new(resolver: Resolver, rules: Rules, host: Box<dyn Host + Send + Sync>) -> Self {
        Self { resolver, rules: RwLock::new(Arc::new(rules)), host }
    }

    /// New rules, for requests that come from now on.
    pub(crate) fn replace_rules(&self, rules: Rules) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }

    /// As [`Resolver::out_of_reach`].
    pub(crate) async fn file_out_of_reach(&self) -> String {
        self.resolver.out_of_reach().await
    }

    /// A connection to the host, or why there is none.
    pub(crate) async fn dial(&self, host: &str, port: u16) -> Result<Connection, DialError> {
        let bad_host = || DialError::BadHost(shorten(host.to_owned()));
        if port == 0 {
            return Err(DialError::BadHost(shorten(format!("{host}:0"))));
        }
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner).clone();
        let target = Target::parse(host).ok_or_else(bad_host)?;
        let start = Instant::now();
        let resolved = self.resolver.resolve(&target).await;
        let resolved = resolved.map_err(|error| DialError::Resolve(shorten(error.to_string())))?;
        let resolve = start.elapsed();

        let candidates = resolved.into_iter().map(|address| SocketAddr::from((address, port))).collect();
        let permitted = self.permitted(&rules.policy, eyeballs::interleave(candidates))?;
        let [first, rest @ ..] = permitted.as_slice() else {
            return Err(bad_host());
        };

        let start = Instant::now();
        match eyeballs::race(*first, rest, rules.connect_limit, connect).await {
            Ok((address, fd)) => Ok(Connection { fd, address, resolve, connect: start.elapsed() }),
            Err(failed) => Err(explain(failed, rules.connect_limit)),
        }
    }

    /// Those that the policy lets pass; an error if it lets none.
    fn permitted(&self, policy: &Policy, candidates: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, DialError> {
        let mut permitted = Vec::with_capacity(candidates.len().min(MOST_ADDRESSES));
        let mut refused = None;
        for address in candidates {
            match policy.judge(address, &*self.host) {
                Ok(address) if permitted.contains(&address) => {}
                Ok(address) => permitted.push(address),
                Err(refusal) => refused = Some(refusal),
            }
            if permitted.len() == MOST_ADDRESSES {
                break;
            }
        }
        match refused {
            Some(refusal) if permitted.is_empty() => {
                Err(DialError::Refused { address: refusal.address, rule: refusal.rule })
            }
            _ => Ok(permitted),
        }
    }
}

fn explain(AllFailed { address, error }: AllFailed, limit: Duration) -> DialError {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => DialError::ConnectionRefused(address),
        io::ErrorKind::TimedOut => DialError::TimedOut {
            address: address.to_string(),
            seconds: u32::try_from(limit.as_secs()).unwrap_or(u32::MAX),
        },
        _ => DialError::Unreachable { address, reason: shorten(error.to_string()) },
    }
}

/// Opens the socket, connects it, and takes it off this program's event loop: it will live on another.
async fn connect(address: SocketAddr) -> io::Result<OwnedFd> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_nodelay(true)?;
    let stream = socket.connect(address).await?;
    // TCP's simultaneous open lets a socket meet itself where nobody listens on a port that the system gave to it.
    if address.ip().is_loopback() && stream.local_addr()? == address {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(stream.into_std()?.into())
}

/// Cuts at a character, so that an answer fits into a frame.
fn shorten(mut text: String) -> String {
    if text.len() > LONGEST_REASON {
        text.truncate(text.floor_char_boundary(LONGEST_REASON));
        text.push('…');
    }
    text
}
