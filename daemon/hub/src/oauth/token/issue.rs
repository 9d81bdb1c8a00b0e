//! The access token of a grant (RFC 9068): its id for the transaction that grants it, and the signed JWT.

use data_encoding::BASE32HEX_NOPAD;
use merlon_wire::hub::Algorithm;

use crate::app::App;
use crate::clients::Client;
use crate::clock::{self, SECOND};
use crate::keys::{SignError, TokenClaims};
use crate::random::{self, NoRandomness};

/// What a token says besides what every token says.
pub(crate) struct AccessToken<'a> {
    pub(crate) client: &'a Client,
    /// The account, or the client itself.
    pub(crate) subject: &'a str,
    pub(crate) audience: &'a str,
    pub(crate) scope: &'a str,
    /// `sid`: the grant of a person.
    pub(crate) session: Option<&'a str>,
    /// `roles`
    pub(crate) role: Option<&'a str>,
    /// `preferred_username`
    pub(crate) name: Option<&'a str>,
    /// `cnf.jkt`
    pub(crate) thumbprint: Option<&'a str>,
}

/// A token's id and life. The transaction that grants it records it; then it is signed.
#[derive(Clone, Debug)]
pub(crate) struct Issued {
    /// `jti`. Later ones are greater, so that rows which are written together stand together.
    pub(crate) jti: String,
    /// Microseconds since 1970-01-01 UTC.
    pub(crate) issued_us: i64,
    /// Microseconds since 1970-01-01 UTC.
    pub(crate) expires_us: i64,
    /// Seconds.
    pub(crate) lifetime: u32,
}

impl Issued {
    /// A token that begins now and lives as long as the configuration says.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub(crate) fn now(app: &App) -> Result<Self, NoRandomness> {
        let issued_us = clock::now_us();
        let mut id = [0; 22];
        id[..6].copy_from_slice(&(issued_us / 1000).to_be_bytes()[2..]);
        id[6..].copy_from_slice(&random::bytes::<16>()?);
        let lifetime = app.hub().access_seconds;
        Ok(Self {
            jti: BASE32HEX_NOPAD.encode(&id),
            issued_us,
            expires_us: issued_us + i64::from(lifetime) * SECOND,
            lifetime,
        })
    }

    /// Greater than the id of every token that began before.
    pub(crate) fn id_before(us: i64) -> String {
        let mut id = [0; 22];
        id[..6].copy_from_slice(&(us / 1000).to_be_bytes()[2..]);
        BASE32HEX_NOPAD.encode(&id)
    }

    /// The signed token.
    ///
    /// # Errors
    /// [`SignError`].
    pub(crate) async fn sign(&self, app: &App, token: &AccessToken<'_>) -> Result<String, SignError> {
        let rsa = token.client.metadata.access_token_signed_response_alg.as_deref() == Some("RS256");
        let claims = TokenClaims {
            algorithm: if rsa { Algorithm::Rs256 } else { Algorithm::Es256 },
            subject: token.subject.to_owned(),
            audience: token.audience.to_owned(),
            client_id: token.client.id.clone(),
            scope: token.scope.to_owned(),
            id: self.jti.clone(),
            issued: clock::seconds(self.issued_us),
            lifetime: self.lifetime,
            session: token.session.map(str::to_owned),
            role: token.role.map(str::to_owned),
            name: token.name.map(str::to_owned),
            key_thumbprint: token.thumbprint.map(str::to_owned),
        };
        app.keys().sign(claims).await
    }
}

/// `token_type` of a token with or without a key.
pub(crate) fn token_type(thumbprint: Option<&str>) -> &'static str {
    if thumbprint.is_some() { "DPoP" } else { "Bearer" }
}
