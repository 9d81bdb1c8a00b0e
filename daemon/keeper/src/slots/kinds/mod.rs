//! What each kind of slot needs to come by its key material. One file per kind; a new kind is a file here, a variant
//! of [`Way`], and a record on disk.

pub(crate) mod argon2id;
pub(crate) mod credential;
pub(crate) mod file;
pub(crate) mod passphrase;
pub(crate) mod pkcs11;
pub(crate) mod recovery;
pub(crate) mod tpm2;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use merlon_sandbox::secret::Secret;
use merlon_wire::seal::{Request, Response, SECRET_LEN};

use self::credential::Credential;
use super::slot::{Kind, SlotError};
use crate::door::Door;
use crate::instance_id::InstanceId;

/// Whose keeper this is. It is said at each start, and stored nowhere but in what a first start makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Serving {
    /// An instance's.
    Instance,
    /// A hub's: it has no CA.
    Hub,
}

/// What slots of this keeper may use besides what a person types. The same from start to end.
pub(crate) struct Means {
    /// Whose keeper this is.
    pub(crate) serving: Serving,
    /// The keeper's directory.
    pub(crate) dir: PathBuf,
    /// The way to `merlon-seal`.
    pub(crate) door: Arc<Door>,
    /// The credential `merlon-key`, if systemd passed one.
    pub(crate) credential: Option<Credential>,
    /// The configuration says where the PIN of a PKCS#11 token is.
    pub(crate) pkcs11_pin: bool,
    /// A new instance may seal its first slot to the TPM, and this machine may have one.
    pub(crate) tpm_first: bool,
}

impl Means {
    /// The keeper's directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }
}

/// What one attempt may use to come by the material.
#[derive(Clone, Copy)]
pub(crate) struct Material<'a> {
    /// Of this keeper.
    pub(crate) means: &'a Means,
    /// What a person typed; empty for slots that open by themselves.
    pub(crate) typed: &'a [u8],
    /// Try a PIN even if a failure would lock TPM or token.
    pub(crate) force: bool,
}

impl<'a> Material<'a> {
    /// Without a person.
    pub(crate) fn machine(means: &'a Means) -> Self {
        Self::typed(means, b"")
    }

    /// With what a person typed.
    pub(crate) fn typed(means: &'a Means, typed: &'a [u8]) -> Self {
        Self { means, typed, force: false }
    }
}

/// Which slot of which instance it is.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The instance.
    pub(crate) instance: &'a InstanceId,
    /// The slot's id.
    pub(crate) id: u32,
}

/// The one interface of all kinds: from what is stored (and typed) to 32 bytes that wrap the master key.
pub(crate) trait Opens {
    /// The kind, by which slots are ordered and named.
    fn kind(&self) -> Kind;

    /// The material. Failing here never stops another slot. May be slow (Argon2id, a TPM).
    fn material(&self, place: Place<'_>, from: Material<'_>) -> Result<Secret<32>, SlotError>;

    /// All parameters that decide how the material is made, in a fixed order: they are authenticated with the
    /// wrapped key.
    fn parameters(&self) -> Vec<Vec<u8>>;

    /// Parameters for people.
    fn detail(&self) -> String;

    /// Opens at a start without a person.
    fn is_machine(&self, _: &Means) -> bool {
        false
    }
}

/// How a slot comes by its material.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the TPM.
    Tpm2(Box<tpm2::Tpm2Slot>),
    /// From a PKCS#11 token.
    Pkcs11(Box<pkcs11::Pkcs11Slot>),
    /// From systemd's credential.
    Credential(credential::CredentialSlot),
    /// From a file beside the keyslots.
    File(file::FileSlot),
    /// From a passphrase.
    Passphrase(passphrase::PassphraseSlot),
    /// From the printed recovery key.
    Recovery(recovery::RecoverySlot),
}

impl Way {
    /// The interface of the kind.
    pub(crate) fn opens(&self) -> &dyn Opens {
        match self {
            Self::Tpm2(slot) => &**slot,
            Self::Pkcs11(slot) => &**slot,
            Self::Credential(slot) => slot,
            Self::File(slot) => slot,
            Self::Passphrase(slot) => slot,
            Self::Recovery(slot) => slot,
        }
    }
}

/// Asks `merlon-seal` for a secret, straight into its own place.
fn secret_of(door: &Door, request: &Request<'_>) -> Result<Secret<SECRET_LEN>, SlotError> {
    door.expect(request, |response| match response {
        Response::Secret { secret, .. } if secret.len() == SECRET_LEN => {
            Some(Secret::init(|place: &mut [u8; SECRET_LEN]| place.copy_from_slice(secret)))
        }
        _ => None,
    })?
    .map_err(SlotError::from)
}
