//! Why an exchange failed, whose fault it was, and what the user is told. The one place that maps failures to pages.

use std::io;

use merlon_wire::dialer::DialError;

use crate::http::{ChunkedError, HeadError};
use merlon_wire::link::{ConnectError, KeeperError};

/// A failed exchange.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The client is gone or too slow; nobody is left to be told.
    #[error("the client went away: {0}")]
    Client(io::Error),
    /// Locked, or its project cannot be opened.
    #[error("this instance is not open: no keyslot has opened yet, or its project cannot be opened")]
    Locked,
    /// The client's request cannot be relayed.
    #[error("{0}")]
    Request(#[from] HeadError),
    /// The client's chunked body is malformed.
    #[error("the request's body is malformed: {0}")]
    RequestBody(ChunkedError),
    /// The head did not come in time.
    #[error("the request head was not complete within {0} s")]
    SlowHead(u64),
    /// The dialer gave no connection.
    #[error("{0}")]
    Dial(DialError),
    /// The dialer is not there.
    #[error("{0}")]
    DialerLink(String),
    /// The keeper gave no leaf.
    #[error("{0}")]
    Keeper(#[from] KeeperError),
    /// The origin's TLS or certificate.
    #[error("{0}")]
    OriginTls(String),
    /// The origin closed before it answered.
    #[error("the origin closed the connection before it answered")]
    ClosedBeforeAnswer,
    /// The origin closed inside its answer.
    #[error("the origin closed the connection in the middle of its answer")]
    ClosedInAnswer,
    /// The origin's connection failed.
    #[error("the connection to the origin failed: {0}")]
    Origin(io::Error),
    /// The origin is too slow.
    #[error("the origin sent nothing for {0} s")]
    OriginStalled(u64),
    /// The origin's head cannot be relayed.
    #[error("the origin's answer is malformed: {0}")]
    Answer(HeadError),
    /// The origin's chunked body is malformed.
    #[error("the origin's answer has a malformed body: {0}")]
    AnswerBody(ChunkedError),
    /// Too many 1xx.
    #[error("the origin sent more than {0} interim answers")]
    TooManyInterim(u32),
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Dial(error) => Self::Dial(error),
            ConnectError::Link(error) => Self::DialerLink(error.to_string()),
        }
    }
}

/// What a page says besides why.
pub(crate) struct Told {
    /// Status of the page.
    pub(crate) status: u16,
    /// Its heading.
    pub(crate) title: &'static str,
    /// What to do next.
    pub(crate) remedy: &'static str,
}

impl Failure {
    /// The page for this failure; none if nobody is left to read it.
    pub(crate) fn told(&self) -> Option<Told> {
        let told = |status, title, remedy| Some(Told { status, title, remedy });
        match self {
            Self::Client(_) => None,
            Self::Request(error) => {
                told(error.status(), "The request cannot be relayed", "Correct the request and send it again.")
            }
            Self::RequestBody(_) => {
                told(400, "The request cannot be relayed", "Correct the request's body and send it again.")
            }
            Self::SlowHead(_) => {
                told(408, "The request came too slowly", "Send the whole head at once, or raise limits.head_seconds.")
            }
            Self::Dial(DialError::Refused { .. }) => {
                told(403, "The egress policy refuses this address", "See [egress] in the instance's configuration.")
            }
            Self::Dial(DialError::TimedOut { .. }) => {
                told(504, "The origin did not answer", "Check the address, or raise egress.connect_timeout_seconds.")
            }
            Self::Dial(DialError::Busy) => told(503, "Too many connections are being opened", "Try again in a moment."),
            Self::Dial(DialError::Resolve(_)) => {
                told(502, "The name does not resolve", "Check the name and this host's DNS.")
            }
            Self::Dial(_) => {
                told(502, "The origin cannot be reached", "Check the address and whether the origin runs.")
            }
            Self::DialerLink(_) => {
                told(503, "The dialer is not there", "It is started again by itself; try again in a moment.")
            }
            Self::Locked | Self::Keeper(KeeperError::Refused(merlon_wire::keeper::Refusal::Locked)) => told(
                503,
                "The instance is not open",
                "`merlon status` on its host says why; `merlon unlock` opens a locked one.",
            ),
            Self::Keeper(_) => told(
                503,
                "No certificate could be issued",
                "If the keeper stopped it is started again by itself; try again in a moment.",
            ),
            Self::OriginTls(_) => told(
                502,
                "The origin's TLS is not accepted",
                "If you trust this origin, add its CA to proxy.upstream_ca; to relay it unread, add the host to proxy.passthrough.",
            ),
            Self::ClosedBeforeAnswer | Self::ClosedInAnswer | Self::Origin(_) => {
                told(502, "The origin broke the connection", "Try again; if it stays so, the origin's log may say why.")
            }
            Self::OriginStalled(_) => {
                told(504, "The origin does not answer", "Try again, or raise limits.stall_seconds.")
            }
            Self::Answer(_) | Self::AnswerBody(_) | Self::TooManyInterim(_) => {
                told(502, "The origin's answer cannot be relayed", "The flow's recorded bytes show what it sent.")
            }
        }
    }
}
