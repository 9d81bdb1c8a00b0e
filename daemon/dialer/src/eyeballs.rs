//! Happy Eyeballs (RFC 8305): the addresses of a host are tried in turn, families interleaved, the next one as soon as
//! the last has failed or has been silent for a while. The first connection wins, the others are dropped.
//!
//! It knows nothing of sockets: the caller says what an attempt is, so that tests run on a clock of their own.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

/// How long an attempt may be silent before the next one starts beside it (RFC 8305, 5).
const STAGGER: Duration = Duration::from_millis(250);

/// No attempt succeeded; the most telling of their errors.
#[derive(Debug)]
pub(crate) struct AllFailed {
    pub(crate) address: SocketAddr,
    pub(crate) error: io::Error,
}

/// IPv6 first, then alternating, each family in its given order (RFC 8305, 4, with a first family count of 1).
pub(crate) fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let count = addresses.len();
    let (six, four): (Vec<_>, Vec<_>) = addresses.into_iter().partition(SocketAddr::is_ipv6);
    let (mut six, mut four) = (six.into_iter(), four.into_iter());
    let mut ordered = Vec::with_capacity(count);
    while ordered.len() < count {
        ordered.extend(six.next());
        ordered.extend(four.next());
    }
    ordered
}

/// Connects to `first` or one of `rest`, tried in that order, before `limit` has passed.
pub(crate) async fn race<T, A, F>(
    first: SocketAddr,
    rest: &[SocketAddr],
    limit: Duration,
    attempt: A,
) -> Result<(SocketAddr, T), AllFailed>
where
    T: Send + 'static,
    A: Fn(SocketAddr) -> F,
    F: Future<Output = io::Result<T>> + Send + 'static,
{
    let deadline = Instant::now() + limit;
    // The common case needs no tasks.
    if rest.is_empty() {
        return match timeout_at(deadline, attempt(first)).await {
            Ok(Ok(connection)) => Ok((first, connection)),
            Ok(Err(error)) => Err(AllFailed { address: first, error }),
            Err(_) => Err(silent(first)),
        };
    }
    let mut waiting = rest.iter().copied();
    // Dropped with all attempts in it once one has won, or time is up.
    let mut attempts = JoinSet::new();
    let mut latest = first;
    let mut begin = Some(first);
    let mut patience = deadline;
    let mut failed = None;
    loop {
        if let Some(address) = begin.take() {
            let attempt = attempt(address);
            attempts.spawn(async move { (address, attempt.await) });
            latest = address;
            patience = Instant::now() + STAGGER;
        }
        tokio::select! {
            biased;
            finished = attempts.join_next() => match finished {
                Some(Ok((address, Ok(connection)))) => return Ok((address, connection)),
                Some(Ok((address, Err(error)))) => {
                    failed = Some(more_telling(failed.take(), AllFailed { address, error }));
                    begin = waiting.next();
                }
                Some(Err(_lost)) => begin = waiting.next(),
                None => return Err(failed.unwrap_or_else(|| silent(latest))),
            },
            () = sleep_until(deadline) => return Err(more_telling(failed, silent(latest))),
            () = sleep_until(patience), if waiting.len() > 0 => begin = waiting.next(),
        }
    }
}

fn silent(address: SocketAddr) -> AllFailed {
    AllFailed { address, error: io::ErrorKind::TimedOut.into() }
}

/// A host that refused says more than one that was silent, and that more than a network without a way there.
fn more_telling(one: Option<AllFailed>, other: AllFailed) -> AllFailed {
    let weight = |failed: &AllFailed| match failed.error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => 2,
        io::ErrorKind::TimedOut => 1,
        _ => 0,
    };
    match one {
        Some(one) if weight(&one) > weight(&other) => one,
        _ => other,
    }
}

#[cfg(test)]
mod tests;
