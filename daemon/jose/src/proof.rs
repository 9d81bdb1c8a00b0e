//! Proofs of possession (DPoP, RFC 9449): checked by hub and engine, made by the command line with a key of its own.
//! That a proof is used once is the caller's to remember, by `jti`, until [`Proof::remember_until`].

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use crate::claims::date;
use crate::jws::Parts;
use crate::{Jwk, TokenError, htu, sha256_base64url, thumbprint};

/// The longest proof that is looked at, in bytes.
pub const MAX_PROOF: usize = 4 * 1024;
/// How old a proof may be, in seconds.
pub const PAST: u64 = 300;
/// How far ahead of the own clock a proof may be dated, in seconds.
pub const AHEAD: u64 = 60;
/// The longest `jti` and nonce, in bytes.
const MAX_ID: usize = 256;

/// What a proof must prove.
#[derive(Clone, Copy, Debug)]
pub struct ProofExpect<'a> {
    /// The method of the request, as it was sent.
    pub method: &'a str,
    /// The URL that the client used, as it used it.
    pub url: &'a str,
    /// Seconds since 1970-01-01 UTC.
    pub now: u64,
    /// The access token that the request came with; none at a token endpoint.
    pub access_token: Option<&'a str>,
    /// The nonce that must be in it; none if none is needed.
    pub nonce: Option<&'a str>,
}

/// A proof that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The thumbprint of its key, for `cnf.jkt`.
    pub thumbprint: String,
    /// Its id: taken once.
    pub jti: String,
    /// When it was made, seconds since 1970-01-01 UTC, by the client's clock.
    pub iat: u64,
    /// The nonce in it.
    pub nonce: Option<String>,
}

impl Proof {
    /// Until when its id must be remembered, seconds since 1970-01-01 UTC.
    #[must_use]
    pub fn remember_until(&self) -> u64 {
        self.iat.saturating_add(PAST)
    }
}

/// Why a proof proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// It cannot be read, or its signature is wrong.
    #[error("the proof does not hold: {0}")]
    Token(#[from] TokenError),
    /// The key in its header is none that a proof may have.
    #[error("the key of the proof cannot be used: {0}")]
    Key(#[from] crate::JwkError),
    /// `htm` is another method.
    #[error("the proof is for another method (`htm`)")]
    Method,
    /// `htu` is another URL.
    #[error("the proof is for another URL (`htu`)")]
    Url,
    /// It is too old, or dated ahead: made long ago, or the clocks differ.
    #[error("the proof was made {seconds} seconds {direction}; make one for each request, and check the clocks", seconds = .by.unsigned_abs(), direction = if *.by < 0 { "ago" } else { "ahead" })]
    Time {
        /// Its date minus the own, in seconds.
        by: i64,
    },
    /// It is not for the access token of this request.
    #[error("the proof is not for this access token (`ath`)")]
    AccessToken,
    /// It lacks the nonce that is wanted.
    #[error("the proof has not the nonce that is wanted")]
    Nonce,
}

#[derive(Deserialize)]
struct Claims {
    jti: Option<String>,
    htm: Option<String>,
    htu: Option<String>,
    #[serde(default, deserialize_with = "date")]
    iat: Option<u64>,
    ath: Option<String>,
    nonce: Option<String>,
}

/// Checks the value of a `DPoP` header (RFC 9449, 4.3). That there was one such header, and that the proof has not been
/// seen before, is the caller's to check.
///
/// # Errors
/// [`ProofError`]
pub fn verify(header: &str, expect: &ProofExpect<'_>) -> Result<Proof, ProofError> {
    if header.len() > MAX_PROOF {
        return Err(TokenError::TooLong.into());
    }
    let parts = Parts::of(header)?;
    if !parts.is_of_type("dpop+jwt") {
        return Err(TokenError::Type.into());
    }
    let key = Jwk::parse(parts.header.jwk.as_ref().ok_or(TokenError::Missing("jwk"))?)?;
    if !parts.signed_by(&key) {
        return Err(TokenError::BadSignature.into());
    }
    let claims: Claims = parts.claims()?;
    let jti = claims.jti.filter(|jti| !jti.is_empty()).ok_or(TokenError::Missing("jti"))?;
    if jti.len() > MAX_ID || claims.nonce.as_ref().is_some_and(|nonce| nonce.len() > MAX_ID) {
        return Err(TokenError::Malformed("`jti` or `nonce` is too long").into());
    }
    if claims.htm.ok_or(TokenError::Missing("htm"))? != expect.method {
        return Err(ProofError::Method);
    }
    let url = htu::normal(&claims.htu.ok_or(TokenError::Missing("htu"))?);
    if url.is_none() || url != htu::normal(expect.url) {
        return Err(ProofError::Url);
    }
    let iat = claims.iat.ok_or(TokenError::Missing("iat"))?;
    let by = iat.cast_signed().saturating_sub(expect.now.cast_signed());
    if by < -PAST.cast_signed() || by > AHEAD.cast_signed() {
        return Err(ProofError::Time { by });
    }
    if let Some(token) = expect.access_token
        && claims.ath.as_deref() != Some(sha256_base64url(token.as_bytes()).as_str())
    {
        return Err(ProofError::AccessToken);
    }
    if expect.nonce.is_some() && claims.nonce.as_deref() != expect.nonce {
        return Err(ProofError::Nonce);
    }
    Ok(Proof { thumbprint: thumbprint(&key), jti, iat, nonce: claims.nonce })
}

/// A key of a client's own that its tokens are bound to. Its private part is wiped when it is dropped.
pub struct ProofKey {
    pkcs8: Zeroizing<Vec<u8>>,
    pair: EcdsaKeyPair,
    public: Jwk,
}

/// Why there is no key, or no proof by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofKeyError {
    /// The bytes are no PKCS#8 of a private key on P-256.
    #[error("this is no private key on P-256 (PKCS#8)")]
    NoKey,
    /// The library of ciphers failed.
    #[error("no key or signature could be made; the random source or the library of ciphers failed")]
    Failed,
}

/// What is to be proven.
#[derive(Clone, Copy, Debug)]
pub struct ToProve<'a> {
    /// The method of the request.
    pub method: &'a str,
    /// Its URL; query and fragment are left out.
    pub url: &'a str,
    /// Seconds since 1970-01-01 UTC.
    pub now: u64,
    /// The access token that goes with the request.
    pub access_token: Option<&'a str>,
    /// The newest nonce of that server.
    pub nonce: Option<&'a str>,
}

impl ProofKey {
    /// A new key on P-256.
    ///
    /// # Errors
    /// [`ProofKeyError::Failed`]
    pub fn generate() -> Result<Self, ProofKeyError> {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .map_err(|_| ProofKeyError::Failed)?;
        Self::from_pkcs8(document.as_ref())
    }

    /// The key that [`Self::pkcs8`] gave.
    ///
    /// # Errors
    /// [`ProofKeyError::NoKey`]
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, ProofKeyError> {
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map_err(|_| ProofKeyError::NoKey)?;
        let public = Jwk::from_p256_point(pair.public_key().as_ref(), None).map_err(|_| ProofKeyError::NoKey)?;
        Ok(Self { pkcs8: Zeroizing::new(pkcs8.to_vec()), pair, public })
    }

    /// The private key, to be kept where the tokens are kept.
    #[must_use]
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> &Jwk {
        &self.public
    }

    /// A proof for one request.
    ///
    /// # Errors
    /// [`ProofKeyError::Failed`]
    pub fn prove(&self, what: &ToProve<'_>) -> Result<String, ProofKeyError> {
        let mut id = [0u8; 16];
        aws_lc_rs::rand::fill(&mut id).map_err(|_| ProofKeyError::Failed)?;
        let url = &what.url[..what.url.find(['?', '#']).unwrap_or(what.url.len())];
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": self.public.required() });
        let mut claims = json!({ "jti": BASE64URL_NOPAD.encode(&id), "htm": what.method, "htu": url, "iat": what.now });
        if let Some(token) = what.access_token {
            claims["ath"] = sha256_base64url(token.as_bytes()).into();
        }
        if let Some(nonce) = what.nonce {
            claims["nonce"] = nonce.into();
        }
        let part = |value: serde_json::Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).map_err(|_| ProofKeyError::Failed)?;
        Ok(format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref())))
    }
}
