//! Why something about the instance's identity did not work, as the rest of the engine hears it. Each variant has one
//! problem code; none carries a token, a code or a secret.

use merlon_api::ProblemCode;
use merlon_wire::keeper::Refusal;
use merlon_wire::link::KeeperError;

/// Why the authorization server could not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdentityError {
    /// Nobody can sign in yet, and why.
    #[error("{0}")]
    Unavailable(String),
    /// The server does not know the instance any more.
    #[error(
        "the authorization server {issuer} does not know this instance any more, it was deleted there; \
         `merlon identity reset` on the host registers it anew and keeps its data"
    )]
    Deleted {
        /// Which server.
        issuer: String,
    },
    /// No answer that could be used; `retry_after` is the server's own word (RFC 9110, 10.2.3).
    #[error("the authorization server cannot be reached: {what}; it is tried again")]
    Unreachable {
        /// What failed.
        what: String,
        /// Seconds, if it said so.
        retry_after: Option<u32>,
    },
    /// The clocks differ so much that the server refused for it.
    #[error(
        "this host's clock is {} minutes {} the one of the authorization server; set the wrong one (`timedatectl` shows \
         this host's)",
        minutes.unsigned_abs(), if *minutes < 0 { "behind" } else { "ahead of" }
    )]
    ClockWrong {
        /// This host's clock minus the server's.
        minutes: i64,
    },
    /// The server answered with an OAuth error (RFC 6749, 5.2).
    #[error(transparent)]
    Refused(#[from] OAuthError),
    /// What the server answered is none of the protocol.
    #[error("the authorization server's answer cannot be used: {0}")]
    Misbehaved(String),
    /// The keeper.
    #[error(transparent)]
    Keeper(#[from] KeeperError),
}

/// An error as the server gave it: bounded, printable ASCII (RFC 6749, 5.2).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the authorization server refused ({status} {error}){}{description}", if description.is_empty() { "" } else { ": " })]
pub(crate) struct OAuthError {
    /// The HTTP status.
    pub(crate) status: u16,
    /// `error`; empty if the answer had none.
    pub(crate) error: String,
    /// `error_description`; may be empty.
    pub(crate) description: String,
    /// `DPoP-Nonce` of the answer (RFC 9449, 8).
    pub(crate) nonce: Option<String>,
}

impl IdentityError {
    /// The code for the API. What an OAuth error means in one of its flows is for that flow to say first.
    pub(crate) fn code(&self) -> ProblemCode {
        match self {
            Self::Unavailable(_) | Self::Keeper(KeeperError::Refused(Refusal::NotRegistered)) => {
                ProblemCode::SignInUnavailable
            }
            Self::Deleted { .. } => ProblemCode::InstanceDeleted,
            Self::Unreachable { .. } => ProblemCode::HubUnreachable,
            Self::ClockWrong { .. } => ProblemCode::ClockWrong,
            Self::Refused(_) | Self::Misbehaved(_) => ProblemCode::IssuerRefused,
            Self::Keeper(KeeperError::Refused(Refusal::Locked)) => ProblemCode::Locked,
            Self::Keeper(KeeperError::Refused(Refusal::RateLimited)) => ProblemCode::RateLimited,
            Self::Keeper(KeeperError::Link(_)) => ProblemCode::KeeperUnreachable,
            Self::Keeper(_) => ProblemCode::KeeperFailed,
        }
    }

    /// The server gave no answer, for whatever reason: what was verified before may still be relied on.
    pub(crate) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_differs_says_by_how_much_and_which_way() {
        let text = |minutes| IdentityError::ClockWrong { minutes }.to_string();
        assert!(text(-7).starts_with("this host's clock is 7 minutes behind the one of"), "{}", text(-7));
        assert!(text(3).starts_with("this host's clock is 3 minutes ahead of the one of"), "{}", text(3));
    }

    #[test]
    fn an_oauth_error_reads_well_with_and_without_a_description() {
        let error = |description: &str| OAuthError {
            status: 400,
            error: "invalid_grant".into(),
            description: description.into(),
            nonce: None,
        };
        assert_eq!(error("").to_string(), "the authorization server refused (400 invalid_grant)");
        assert_eq!(error("used").to_string(), "the authorization server refused (400 invalid_grant): used");
    }
}
