//! Encrypting and decrypting the one value.
//!
//! Owned here: the mechanisms and their parameters. That what is encrypted decrypts to the same value is proved by the
//! keeper, which asks for both.
//!
//! RSA-OAEP does not authenticate the additional data: its label would, but SoftHSM and others take none. Nothing is
//! lost by that: the value is only one input of the key for the keyslot's own AEAD, which authenticates the same data.
//! SHA-1 in OAEP is a mask and the hash of an empty label; neither needs it to be free of collisions.

use cryptoki::error::Error;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsOaepParams, PkcsOaepSource};
use cryptoki::mechanism::{Mechanism as With, MechanismType};
use cryptoki::session::Session;
use merlon_sandbox::secret::Secret;
use merlon_wire::seal::{Failure, Mechanism, Pkcs11Object, SECRET_LEN};
use zeroize::Zeroizing;

use super::failed;
use super::key::Key;

/// Bytes of the nonce (NIST SP 800-38D, 5.2.1.1: the length that needs no hashing).
const NONCE: usize = 12;
/// Bits of the tag.
const TAG_BITS: u64 = 128;
/// The longest nonce and the longest RSA modulus that a keyslot may hold.
const MAX_NONCE: usize = 256;
const MAX_MODULUS: usize = 2048;

/// Encrypts.
pub(crate) fn wrap(
    session: &Session,
    key: &Key,
    secret: &[u8; SECRET_LEN],
    aad: &[u8],
) -> Result<Pkcs11Object, Failure> {
    match key {
        Key::Aes(_) => attempt(session, key, Mechanism::AesGcm, secret, aad),
        Key::Rsa { .. } => attempt(session, key, Mechanism::RsaOaepSha256, secret, aad).or_else(|error| match error {
            Error::Pkcs11(code, _) if !failed::about_token(code) => {
                attempt(session, key, Mechanism::RsaOaepSha1, secret, aad)
            }
            other => Err(other),
        }),
    }
    .map_err(|error| failed::encrypting(&error, matches!(key, Key::Aes(_))))
}

fn attempt(
    session: &Session,
    key: &Key,
    mechanism: Mechanism,
    secret: &[u8; SECRET_LEN],
    aad: &[u8],
) -> Result<Pkcs11Object, Error> {
    let (nonce, ciphertext) = match key {
        Key::Aes(key) => {
            let mut nonce = *random_nonce()?.expose();
            let with = With::AesGcm(GcmParams::new(&mut nonce, aad, TAG_BITS.into())?);
            let ciphertext = session.encrypt(&with, *key, secret)?;
            // Some tokens put a nonce of their own in its place.
            let With::AesGcm(mut used) = with else { return Err(Error::InvalidValue) };
            (used.iv().to_vec(), ciphertext)
        }
        Key::Rsa { public, .. } => (Vec::new(), session.encrypt(&oaep(mechanism), *public, secret)?),
    };
    let object = Pkcs11Object { mechanism, nonce, ciphertext };
    if matches!(key, Key::Rsa { .. }) {
        // Modules encrypt with the public key by themselves; which mechanism the token has shows when it decrypts.
        decrypt(session, key, &object, aad)?;
    }
    Ok(object)
}

fn random_nonce() -> Result<Secret<NONCE>, Error> {
    // The kernel's randomness fails only where it has none at all.
    Secret::random().map_err(|_| Error::InvalidValue)
}

/// Decrypts what a keyslot holds.
pub(crate) fn unwrap(
    session: &Session,
    key: &Key,
    object: &Pkcs11Object,
    aad: &[u8],
) -> Result<Secret<SECRET_LEN>, Failure> {
    let lengths = match object.mechanism {
        Mechanism::AesGcm => (1..=MAX_NONCE).contains(&object.nonce.len()) && object.ciphertext.len() <= MAX_MODULUS,
        Mechanism::RsaOaepSha256 | Mechanism::RsaOaepSha1 => object.ciphertext.len() <= MAX_MODULUS,
    };
    if !lengths {
        return Err(Failure::TokenKey("its lengths are impossible".into()));
    }
    let decrypted = decrypt(session, key, object, aad).map_err(|error| failed::decrypting(&error))?;
    let bytes: &[u8; SECRET_LEN] = decrypted
        .as_slice()
        .try_into()
        .map_err(|_| Failure::TokenKey(format!("it decrypts to {} bytes", decrypted.len())))?;
    Secret::init(|secret| *secret = *bytes)
        .map_err(|error| Failure::Token { doing: "handing the value over".into(), what: error.to_string() })
}

/// cryptoki answers in a vector of its own, which is wiped as soon as it is not needed.
fn decrypt(session: &Session, key: &Key, object: &Pkcs11Object, aad: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut nonce = object.nonce.clone();
    let (with, handle) = match key {
        Key::Aes(key) => (With::AesGcm(GcmParams::new(&mut nonce, aad, TAG_BITS.into())?), *key),
        Key::Rsa { private, .. } => (oaep(object.mechanism), *private),
    };
    session.decrypt(&with, handle, &object.ciphertext).map(Zeroizing::new)
}

fn oaep(mechanism: Mechanism) -> With<'static> {
    let (hash, mask) = match mechanism {
        Mechanism::RsaOaepSha1 => (MechanismType::SHA1, PkcsMgfType::MGF1_SHA1),
        Mechanism::RsaOaepSha256 | Mechanism::AesGcm => (MechanismType::SHA256, PkcsMgfType::MGF1_SHA256),
    };
    With::RsaPkcsOaep(PkcsOaepParams::new(hash, mask, PkcsOaepSource::empty()))
}
