//! Finding the key in the token.
//!
//! Owned here: that exactly one fits, and that it may do what is wanted of it. Whether it can be taken out of the token
//! is not judged: that was its maker's choice, and some have to be, to be backed up.

use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use merlon_wire::seal::{Failure, Mechanism};

use super::failed;
use super::uri::{Class, Uri};

/// A key that decrypts what was encrypted to it.
pub(crate) enum Key {
    /// For AES-GCM.
    Aes(ObjectHandle),
    /// For RSA-OAEP.
    Rsa {
        /// Encrypts.
        public: ObjectHandle,
        /// Decrypts.
        private: ObjectHandle,
    },
}

/// The one key that the URI names, of the kind that `mechanism` needs if something is to be decrypted.
pub(crate) fn find(session: &Session, uri: &Uri, mechanism: Option<Mechanism>) -> Result<Key, Failure> {
    let wanted = |class| {
        let by_mechanism = mechanism.map(|mechanism| match mechanism {
            Mechanism::AesGcm => Class::Secret,
            Mechanism::RsaOaepSha256 | Mechanism::RsaOaepSha1 => Class::Pair,
        });
        [uri.class, by_mechanism].into_iter().flatten().all(|asked| asked == class)
    };
    let list = |class, kind, is_wanted| {
        if is_wanted { objects(session, class, kind, &named(uri)) } else { Ok(Vec::new()) }
    };
    let secret = list(ObjectClass::SECRET_KEY, KeyType::AES, wanted(Class::Secret))?;
    let private = list(ObjectClass::PRIVATE_KEY, KeyType::RSA, wanted(Class::Pair))?;
    match (secret.as_slice(), private.as_slice()) {
        (&[key], []) => {
            may(session, key, &[AttributeType::Encrypt, AttributeType::Decrypt])?;
            Ok(Key::Aes(key))
        }
        ([], &[private]) => {
            may(session, private, &[AttributeType::Decrypt])?;
            let public = other_half(session, uri, private)?;
            may(session, public, &[AttributeType::Encrypt])?;
            Ok(Key::Rsa { public, private })
        }
        _ => Err(count(secret.len() + private.len())),
    }
}

/// The public key of the same pair: by id where the private key has one, as both halves have the same.
fn other_half(session: &Session, uri: &Uri, private: ObjectHandle) -> Result<ObjectHandle, Failure> {
    let [id, modulus] = [AttributeType::Id, AttributeType::Modulus].map(|attribute| {
        let read = session.get_attributes(private, &[attribute]);
        read.map(|mut found| found.pop()).map_err(failed::doing("describing the key"))
    });
    let mut name = match id? {
        Some(Attribute::Id(id)) if !id.is_empty() => vec![Attribute::Id(id)],
        _ => named(uri),
    };
    name.extend(modulus?);
    match objects(session, ObjectClass::PUBLIC_KEY, KeyType::RSA, &name)?.as_slice() {
        &[public] => Ok(public),
        others => Err(count(others.len())),
    }
}

fn named(uri: &Uri) -> Vec<Attribute> {
    let id = uri.id.clone().map(Attribute::Id);
    id.into_iter().chain(uri.object.clone().map(Attribute::Label)).collect()
}

fn objects(
    session: &Session,
    class: ObjectClass,
    kind: KeyType,
    name: &[Attribute],
) -> Result<Vec<ObjectHandle>, Failure> {
    let mut template = vec![Attribute::Class(class), Attribute::KeyType(kind)];
    template.extend_from_slice(name);
    session.find_objects(&template).map_err(failed::doing("looking for the key"))
}

/// What the token says to be forbidden would fail anyway; here it has a reason. What it does not say is tried.
fn may(session: &Session, key: ObjectHandle, needed: &[AttributeType]) -> Result<(), Failure> {
    let asked = [needed, &[AttributeType::AlwaysAuthenticate]].concat();
    let answers = session.get_attributes(key, &asked).map_err(failed::doing("describing the key"))?;
    let missing = answers.iter().find_map(|answer| match answer {
        Attribute::Encrypt(false) => Some("it may not encrypt (CKA_ENCRYPT)"),
        Attribute::Decrypt(false) => Some("it may not decrypt (CKA_DECRYPT)"),
        Attribute::AlwaysAuthenticate(true) => Some("it wants the PIN again for each use (CKA_ALWAYS_AUTHENTICATE)"),
        _ => None,
    });
    missing.map_or(Ok(()), |why| {
        Err(Failure::Token { doing: "looking at the key".into(), what: format!("{why}; make another key for Merlon") })
    })
}

fn count(keys: usize) -> Failure {
    Failure::Key(u32::try_from(keys).unwrap_or(u32::MAX))
}
