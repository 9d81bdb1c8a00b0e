//! What is kept of one session. Its form is private to this program; `version` tells forms apart.

use std::path::PathBuf;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use merlon_api::{Session, SignedIn};
use merlon_jose::proof::ProofKey;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::now;
use crate::error::CliError;
use crate::target::Remote;

/// Of this form of the document.
pub(super) const VERSION: u32 = 1;
/// Bytes of a document at most: two tokens, a key, and what is known of the session.
pub(super) const MAX: usize = 64 << 10;
/// A token with less than this ahead of it is refreshed before it is used.
const SOON: u64 = 20;

/// One session at one instance.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stored {
    version: u32,
    /// How the instance is reached.
    pub(crate) reach: Reach,
    /// The authorization server.
    pub(crate) issuer: Option<String>,
    /// For the proof of a refresh.
    pub(crate) token_endpoint: Option<String>,
    /// Who signed in, and as what.
    pub(crate) session: Session,
    /// `Bearer` or `DPoP`.
    pub(crate) token_type: String,
    /// When the access token expires, seconds since 1970-01-01 UTC by this host's clock.
    expires: u64,
    secrets: Secrets,
}

/// The address of an instance, and how its certificate is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reach {
    pub(crate) url: String,
    ca_file: Option<PathBuf>,
    pin: Option<String>,
}

#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
struct Secrets {
    access_token: String,
    refresh_token: Option<String>,
    /// PKCS#8 in base64url.
    key: Option<String>,
}

impl Reach {
    pub(crate) fn of(remote: &Remote) -> Self {
        let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
        Self {
            url: remote.url(),
            ca_file: remote.ca_file.as_ref().map(absolute),
            pin: remote.pin.map(|pin| HEXLOWER.encode(&pin)),
        }
    }

    /// # Errors
    /// Somebody has written something else into the document.
    pub(crate) fn remote(&self) -> Result<Remote, CliError> {
        let pin = self.pin.as_deref().map(crate::target::parse_pin).transpose()?;
        Ok(Remote { ca_file: self.ca_file.clone(), pin, ..Remote::parse(&self.url)? })
    }
}

impl Stored {
    /// A session that has just begun.
    pub(crate) fn begun(
        reach: Reach,
        issuer: Option<String>,
        token_endpoint: Option<String>,
        key: Option<&ProofKey>,
        tokens: SignedIn,
    ) -> Self {
        let key = key.map(|key| BASE64URL_NOPAD.encode(key.pkcs8()));
        let SignedIn { access_token, token_type, expires_in, refresh_token, session, .. } = tokens;
        let secrets = Secrets { access_token, refresh_token, key };
        let expires = now().saturating_add(expires_in.into());
        Self { version: VERSION, reach, issuer, token_endpoint, session, token_type, expires, secrets }
    }

    /// The same session with new tokens. Without a new refresh token the old one goes on (RFC 6749, section 6).
    pub(crate) fn refreshed(&mut self, tokens: SignedIn) {
        let SignedIn { access_token, token_type, expires_in, refresh_token, session, .. } = tokens;
        self.secrets.access_token.zeroize();
        self.secrets.access_token = access_token;
        if let Some(newer) = refresh_token {
            self.secrets.refresh_token.zeroize();
            self.secrets.refresh_token = Some(newer);
        }
        (self.token_type, self.session) = (token_type, session);
        self.expires = now().saturating_add(expires_in.into());
    }

    pub(crate) fn access_token(&self) -> &str {
        &self.secrets.access_token
    }

    pub(crate) fn refresh_token(&self) -> Option<&str> {
        self.secrets.refresh_token.as_deref()
    }

    /// The key that the tokens are bound to.
    ///
    /// # Errors
    /// Somebody has written something else into the document.
    pub(crate) fn key(&self) -> Result<Option<ProofKey>, CliError> {
        let Some(text) = &self.secrets.key else { return Ok(None) };
        let wrong = || CliError::failed("the key of the session cannot be used").hint("merlon login");
        let pkcs8 = Zeroizing::new(BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| wrong())?);
        ProofKey::from_pkcs8(&pkcs8).map(Some).map_err(|e| wrong().because(e))
    }

    /// Is there too little time left to use the access token?
    pub(crate) fn expires_soon(&self) -> bool {
        self.expires < now().saturating_add(SOON)
    }

    /// Is there no time left at all?
    pub(crate) fn has_expired(&self) -> bool {
        self.expires <= now()
    }

    pub(super) fn to_json(&self) -> Result<Zeroizing<Vec<u8>>, CliError> {
        // Never longer than this, so that no piece of it stays behind where the buffer grew.
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX));
        serde_json::to_writer(&mut *bytes, self)
            .map_err(|e| CliError::failed("the session cannot be written").because(e))?;
        if bytes.len() > MAX {
            return Err(CliError::failed("the session cannot be kept")
                .because(format!("its tokens are longer than {MAX} bytes")));
        }
        Ok(bytes)
    }

    /// None if it is no document of this version.
    pub(super) fn from_json(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok().filter(|stored: &Self| stored.version == VERSION)
    }
}
