//! Why a token or a key is not taken. A text never holds a token; an id of a key is quoted, because a stranger wrote it.

/// Why a key or a set of keys cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    /// It is longer than any that is looked at.
    #[error("the key set is longer than {max} bytes", max = crate::MAX_SET)]
    TooLong,
    /// It has more keys than are looked at.
    #[error("the key set has more than {max} keys", max = crate::MAX_KEYS)]
    TooMany,
    /// It is no JSON of a key or of a set of keys (RFC 7517).
    #[error("this is no JSON Web Key: {0}")]
    Malformed(&'static str),
    /// A private or symmetric key was sent where a public one belongs.
    #[error("the key holds its private part; send the public one, and make a new key, as this one is known now")]
    Private,
    /// A kind of key that signs nothing here.
    #[error("this kind of key is not used here; use P-256, RSA of 2048 bits or more, or Ed25519")]
    Unsupported,
}

/// Why a token is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is longer than any that is looked at.
    #[error("the token is longer than {max} bytes", max = crate::MAX_TOKEN)]
    TooLong,
    /// It is no signed JWT in compact form, or a claim has the wrong shape.
    #[error("the token cannot be read: {0}")]
    Malformed(&'static str),
    /// Its algorithm is none of those allowed.
    #[error("the token is signed by an algorithm that is not taken; ES256, RS256 and EdDSA are")]
    Algorithm,
    /// Its `typ` is that of another kind of token.
    #[error("the token is of another kind (`typ`)")]
    Type,
    /// No key of the set is the one it names.
    #[error("the token is signed by a key that is not known: {kid:?}")]
    UnknownKey {
        /// `kid`, if it has one.
        kid: Option<String>,
    },
    /// The key named did not sign this.
    #[error("the signature of the token is wrong")]
    BadSignature,
    /// Somebody else issued it.
    #[error("the token was issued by another issuer")]
    WrongIssuer,
    /// It was issued for somebody else.
    #[error("the token was issued for another audience")]
    WrongAudience,
    /// It has expired.
    #[error("the token expired {by} seconds ago")]
    Expired {
        /// Seconds since its end, without the leeway.
        by: u64,
    },
    /// Its time has not come: one of the clocks is wrong.
    #[error("the token is valid only {by} seconds from now; the clocks differ")]
    NotYetValid {
        /// Seconds until then, without the leeway.
        by: u64,
    },
    /// It lives longer than such a token may.
    #[error("the token lives too long; at most {max} seconds are taken")]
    LivesTooLong {
        /// The longest life.
        max: u64,
    },
    /// A claim that it must have is not there.
    #[error("the token has no `{0}`")]
    Missing(&'static str),
    /// It is bound to something that is not understood (`cnf`), so it cannot be checked who may use it.
    #[error("the token is bound in a way that is not understood (`cnf` without `jkt`)")]
    Binding,
}
