//! The signed form of every token: three parts and a header (RFC 7515, 7.1). Takes a token apart, within bounds, and
//! verifies its signature; knows no claim.

use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::jwk::MAX_KID;
use crate::{Algorithm, Jwk, Jwks, TokenError};

/// The longest token that is looked at, in bytes.
pub const MAX_TOKEN: usize = 8 * 1024;

/// A header as far as it is looked at. A member that is there twice refuses the token.
#[derive(Deserialize)]
pub(crate) struct Header {
    alg: String,
    pub(crate) typ: Option<String>,
    kid: Option<String>,
    crit: Option<Value>,
    pub(crate) jwk: Option<Value>,
}

/// A token taken apart and not yet believed.
pub(crate) struct Parts<'a> {
    pub(crate) header: Header,
    pub(crate) algorithm: Algorithm,
    /// Header and payload with the dot between them: what is signed.
    signed: &'a str,
    payload: &'a str,
    signature: &'a str,
}

impl<'a> Parts<'a> {
    pub(crate) fn of(token: &'a str) -> Result<Self, TokenError> {
        if token.len() > MAX_TOKEN {
            return Err(TokenError::TooLong);
        }
        let malformed = TokenError::Malformed("it is not three parts with dots between them");
        let (signed, signature) = token.rsplit_once('.').ok_or(malformed.clone())?;
        let (header, payload) = signed.split_once('.').ok_or(malformed.clone())?;
        if payload.contains('.') {
            return Err(malformed);
        }
        let header: Header = decode(header, "the header is no JSON of the right shape")?;
        let algorithm = Algorithm::named(&header.alg).ok_or(TokenError::Algorithm)?;
        // Nothing that a token may declare critical is understood here (RFC 7515, 4.1.11).
        if header.crit.is_some() {
            return Err(TokenError::Malformed("it has critical extensions (`crit`), and none is understood"));
        }
        if header.kid.as_ref().is_some_and(|kid| kid.len() > MAX_KID) {
            return Err(TokenError::Malformed("`kid` is too long"));
        }
        Ok(Self { header, algorithm, signed, payload, signature })
    }

    /// Does `typ` name this kind? Compared without case and without `application/` (RFC 7515, 4.1.9).
    pub(crate) fn is_of_type(&self, wanted: &str) -> bool {
        let Some(typ) = &self.header.typ else { return false };
        let short = match typ.get(..12) {
            Some(prefix) if prefix.eq_ignore_ascii_case("application/") => &typ[12..],
            _ => typ,
        };
        short.eq_ignore_ascii_case(wanted)
    }

    /// The claims, if a key of the set signed them.
    pub(crate) fn verified_by<T: DeserializeOwned>(&self, keys: &Jwks) -> Result<T, TokenError> {
        let kid = self.header.kid.as_deref();
        let mut any = false;
        for key in keys.candidates(kid, self.algorithm) {
            any = true;
            if self.signed_by(key) {
                return self.claims();
            }
        }
        // One that is named and not there may be among the keys of today; of one that is there nothing else can be said.
        Err(match kid.map_or(any, |kid| keys.find(kid).is_some()) {
            true => TokenError::BadSignature,
            false => TokenError::UnknownKey { kid: kid.map(str::to_owned) },
        })
    }

    /// Did this key sign it? Never by another algorithm than the key's own.
    pub(crate) fn signed_by(&self, key: &Jwk) -> bool {
        let (algorithm, decoding) = key.verifier();
        key.algorithm() == self.algorithm
            && jsonwebtoken::crypto::verify(self.signature, self.signed.as_bytes(), &decoding, algorithm)
                .unwrap_or(false)
    }

    /// The claims, believed or not.
    pub(crate) fn claims<T: DeserializeOwned>(&self) -> Result<T, TokenError> {
        decode(self.payload, "a claim has the wrong shape")
    }
}

fn decode<T: DeserializeOwned>(part: &str, what: &'static str) -> Result<T, TokenError> {
    let json = BASE64URL_NOPAD
        .decode(part.as_bytes())
        .map_err(|_| TokenError::Malformed("a part is no base64url without padding"))?;
    serde_json::from_slice(&json).map_err(|_| TokenError::Malformed(what))
}
