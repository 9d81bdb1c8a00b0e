//! The records of the slots that `merlon-seal` opens, as JSON.

use merlon_wire::seal::{Mechanism, Pcr, Pkcs11Object, Tpm2Object};
use serde::{Deserialize, Serialize};

use super::kinds::argon2id::Argon2id;
use super::kinds::pkcs11::Pkcs11Slot;
use super::kinds::tpm2::Tpm2Slot;
use super::record::{RecordError, any_bytes, bytes, hex, wrong};

/// A sealed object and what it is bound to. Bytes are in hex.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tpm2Record {
    salt: String,
    srk_name: String,
    public: String,
    private: String,
    pcrs: Vec<PcrRecord>,
    policy_key: String,
    pin: bool,
    once: bool,
    sealed_us: i64,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct PcrRecord {
    index: u8,
    value: String,
}

impl Tpm2Record {
    pub(super) fn of(slot: &Tpm2Slot) -> Self {
        let Tpm2Object { srk_name, public, private, pcrs, policy_key, pin } = &slot.object;
        Self {
            salt: hex(&slot.salt),
            srk_name: hex(srk_name),
            public: hex(public),
            private: hex(private),
            pcrs: pcrs.iter().map(|pcr| PcrRecord { index: pcr.index, value: hex(&pcr.value) }).collect(),
            policy_key: hex(policy_key),
            pin: *pin,
            once: slot.once,
            sealed_us: slot.sealed_us,
        }
    }

    pub(super) fn parse(&self, pin: Option<Argon2id>) -> Result<Tpm2Slot, RecordError> {
        let pcr = |pcr: &PcrRecord| Ok(Pcr { index: pcr.index, value: bytes(&pcr.value)? });
        let object = Tpm2Object {
            srk_name: any_bytes(&self.srk_name)?,
            public: any_bytes(&self.public)?,
            private: any_bytes(&self.private)?,
            pcrs: self.pcrs.iter().map(pcr).collect::<Result<_, RecordError>>()?,
            policy_key: any_bytes(&self.policy_key)?,
            pin: self.pin,
        };
        let slot = Tpm2Slot { object, salt: bytes(&self.salt)?, pin, once: self.once, sealed_us: self.sealed_us };
        if slot.is_plausible() { Ok(slot) } else { Err(wrong("a sealed object")) }
    }
}

/// A value that a token encrypted, and which token. Bytes are in hex.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pkcs11Record {
    salt: String,
    uri: String,
    mechanism: String,
    nonce: String,
    ciphertext: String,
    typed_pin: bool,
}

impl Pkcs11Record {
    pub(super) fn of(slot: &Pkcs11Slot) -> Self {
        let Pkcs11Object { mechanism, nonce, ciphertext } = &slot.object;
        Self {
            salt: hex(&slot.salt),
            uri: slot.uri.clone(),
            mechanism: mechanism.name().to_owned(),
            nonce: hex(nonce),
            ciphertext: hex(ciphertext),
            typed_pin: slot.typed_pin,
        }
    }

    pub(super) fn parse(&self) -> Result<Pkcs11Slot, RecordError> {
        let mechanism = [Mechanism::AesGcm, Mechanism::RsaOaepSha256, Mechanism::RsaOaepSha1]
            .into_iter()
            .find(|mechanism| mechanism.name() == self.mechanism)
            .ok_or_else(|| wrong("the mechanism of a slot"))?;
        let object =
            Pkcs11Object { mechanism, nonce: any_bytes(&self.nonce)?, ciphertext: any_bytes(&self.ciphertext)? };
        let slot = Pkcs11Slot { uri: self.uri.clone(), object, salt: bytes(&self.salt)?, typed_pin: self.typed_pin };
        if slot.is_plausible() { Ok(slot) } else { Err(wrong("an encrypted value")) }
    }
}
