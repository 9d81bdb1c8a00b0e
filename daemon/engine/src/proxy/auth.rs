//! Proxy authentication (Basic, RFC 7617). The keeper verifies; the verdict holds for the connection.

use merlon_wire::keeper::Refusal;

use super::Proxy;
use merlon_wire::link::KeeperError;

/// Why a client may not use the proxy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthRefusal {
    /// No credentials.
    #[error("no Proxy-Authorization was sent")]
    Missing,
    /// Not Basic, not base64, no colon.
    #[error("the Proxy-Authorization is not `Basic` with a user name and password")]
    Malformed,
    /// Unknown user or wrong password; not said which.
    #[error("the user name or password is wrong")]
    Wrong,
    /// The keeper limits failed tries.
    #[error("there were too many failed tries; try again in a second")]
    TooMany,
    /// The keeper could not be asked.
    #[error("{0}")]
    Keeper(KeeperError),
}

impl AuthRefusal {
    /// Credentials came and were of no use. Without any a client only asks whether it needs some.
    pub(super) fn is_failed_try(&self) -> bool {
        matches!(self, Self::Malformed | Self::Wrong | Self::TooMany)
    }
}

/// The longest value that is looked at, in bytes.
const MAX_VALUE: usize = 512;

impl Proxy {
    /// May this client use the proxy?
    ///
    /// # Errors
    /// [`AuthRefusal`].
    pub(super) async fn authenticate(&self, value: Option<&[u8]>) -> Result<(), AuthRefusal> {
        let value = value.ok_or(AuthRefusal::Missing)?;
        let decoded = basic(value).ok_or(AuthRefusal::Malformed)?;
        let (user, password) = split(&decoded).ok_or(AuthRefusal::Malformed)?;
        let verified = async { self.links.keeper().await?.verify_proxy_user(user, password).await };
        match verified.await {
            Ok(true) => Ok(()),
            Ok(false) => Err(AuthRefusal::Wrong),
            Err(KeeperError::Refused(Refusal::RateLimited)) => Err(AuthRefusal::TooMany),
            Err(e) => Err(AuthRefusal::Keeper(e)),
        }
    }
}

fn basic(value: &[u8]) -> Option<zeroize::Zeroizing<Vec<u8>>> {
    let (scheme, rest) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") || rest.len() > MAX_VALUE {
        return None;
    }
    data_encoding::BASE64.decode(rest.trim_ascii()).ok().map(Into::into)
}

fn split(decoded: &[u8]) -> Option<(&str, &[u8])> {
    let colon = memchr::memchr(b':', decoded)?;
    Some((std::str::from_utf8(&decoded[..colon]).ok()?, &decoded[colon + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_well_formed_basic_credentials_are_taken() {
        let decoded = basic(b"bAsIc  dXNlcjpwYTpzcw== ").unwrap();
        assert_eq!(split(&decoded), Some(("user", b"pa:ss".as_slice())));
        for wrong in [b"Bearer dXNlcjpw".as_slice(), b"Basic", b"Basic !!!", b"", &[b'B'; 2000]] {
            assert!(basic(wrong).is_none());
        }
        assert!(split(b"nocolon").is_none());
    }
}
