//! The `pkcs11` slot: a random secret that a key in a PKCS#11 token encrypts.
//!
//! Owned here: what is encrypted, and how the material is made of it. The module and the token are `merlon-seal`'s.

use merlon_sandbox::secret::Secret;
use merlon_wire::seal::{Failure, Pkcs11Object, Pkcs11Unwrap, Pkcs11Wrap, Request, Response, SECRET_LEN};

use super::{Material, Means, Opens, Place};
use crate::crypto;
use crate::door::{Door, DoorError};
use crate::instance_id::InstanceId;
use crate::slots::slot::{Kind, SlotError};

/// The longest URI that is stored, in bytes.
const MAX_URI: usize = 1024;
/// The longest ciphertext: RSA with 16384 bits.
const MAX_CIPHERTEXT: usize = 2048;
const MAX_NONCE: usize = 16;

/// Parameters as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pkcs11Slot {
    /// Names token and key (RFC 7512).
    pub(crate) uri: String,
    /// What the token decrypts.
    pub(crate) object: Pkcs11Object,
    /// Of the derivation, and of the associated data.
    pub(crate) salt: [u8; 32],
    /// The PIN is typed; otherwise it is where the configuration says.
    pub(crate) typed_pin: bool,
}

/// Encrypts a new random secret, and decrypts it once to be sure that it comes back. No PIN: the configured one.
pub(crate) fn wrap(
    door: &Door,
    instance: &InstanceId,
    uri: &str,
    pin: Option<&[u8]>,
) -> Result<(Pkcs11Slot, Secret<32>), SlotError> {
    if uri.len() > MAX_URI {
        return Err(DoorError::Failed(Failure::Uri(format!("it is longer than {MAX_URI} bytes"))).into());
    }
    if uri.contains("pin-value") {
        let why = "it holds the PIN itself, and a keyslot is no place for one; leave pin-value out";
        return Err(DoorError::Failed(Failure::Uri(why.to_owned())).into());
    }
    let secret = Secret::<SECRET_LEN>::random()?;
    let mut salt = [0; 32];
    crypto::random(&mut salt)?;
    let aad = associated(instance, &salt);
    let wanted = Pkcs11Wrap { uri, pin, secret: secret.expose(), aad: &aad };
    let object = door.expect(&Request::Wrap(wanted), |response| match response {
        Response::Wrapped(object) => Some(object),
        _ => None,
    })?;
    let slot = Pkcs11Slot { uri: uri.to_owned(), object, salt, typed_pin: pin.is_some() };
    if !slot.is_plausible() {
        return Err(DoorError::OtherAnswer.into());
    }
    if !slot.unwrapped(door, instance, pin, false)?.ct_eq(&secret) {
        return Err(SlotError::Unproven);
    }
    let material = slot.derive(&secret)?;
    Ok((slot, material))
}

/// So that a ciphertext of another slot or instance is not taken for this one's, where the mechanism can tell.
fn associated(instance: &InstanceId, salt: &[u8; 32]) -> Vec<u8> {
    [b"merlon v1 pkcs11".as_slice(), instance.bytes(), salt].concat()
}

impl Pkcs11Slot {
    /// Could `merlon-seal` have made this?
    pub(crate) fn is_plausible(&self) -> bool {
        (1..=MAX_URI).contains(&self.uri.len())
            && (1..=MAX_CIPHERTEXT).contains(&self.object.ciphertext.len())
            && self.object.nonce.len() <= MAX_NONCE
    }

    fn derive(&self, secret: &Secret<SECRET_LEN>) -> Result<Secret<32>, SlotError> {
        Ok(crypto::derive(secret.expose(), &self.salt, b"merlon v1 pkcs11")?)
    }

    fn unwrapped(
        &self,
        door: &Door,
        instance: &InstanceId,
        pin: Option<&[u8]>,
        force: bool,
    ) -> Result<Secret<SECRET_LEN>, SlotError> {
        let aad = associated(instance, &self.salt);
        let what = Pkcs11Unwrap { uri: &self.uri, pin, object: self.object.clone(), aad: &aad, force };
        super::secret_of(door, &Request::Unwrap(what))
    }
}

impl Opens for Pkcs11Slot {
    fn kind(&self) -> Kind {
        Kind::Pkcs11
    }

    fn material(&self, place: Place<'_>, from: Material<'_>) -> Result<Secret<32>, SlotError> {
        let pin = Some(from.typed).filter(|typed| !typed.is_empty());
        if pin.is_none() && !self.is_machine(from.means) {
            return Err(SlotError::NeedsPin);
        }
        let secret = self.unwrapped(&from.means.door, place.instance, pin, from.force)?;
        self.derive(&secret)
    }

    fn parameters(&self) -> Vec<Vec<u8>> {
        let Pkcs11Object { mechanism, nonce, ciphertext } = &self.object;
        vec![
            self.salt.to_vec(),
            self.uri.as_bytes().to_vec(),
            mechanism.name().as_bytes().to_vec(),
            nonce.clone(),
            ciphertext.clone(),
            vec![u8::from(self.typed_pin)],
        ]
    }

    fn detail(&self) -> String {
        let pin = if self.typed_pin { "typed PIN" } else { "configured PIN" };
        format!("{}, {}, {pin}", self.uri, self.object.mechanism.name())
    }

    fn is_machine(&self, means: &Means) -> bool {
        !self.typed_pin || means.pkcs11_pin
    }
}
