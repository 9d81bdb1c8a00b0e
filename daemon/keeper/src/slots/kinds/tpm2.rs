//! The `tpm2` slot: a random secret sealed to this machine's TPM, and with a PIN one more half that the TPM never sees.
//!
//! Owned here: what is sealed, and how the material is made of it. The TPM itself is `merlon-seal`'s. With a PIN,
//! Argon2id makes 64 bytes of it: the first half is what the TPM asks for, the second half goes into the material, so
//! that a broken TPM alone yields nothing.

use merlon_sandbox::secret::Secret;
use merlon_wire::seal::{PCRS, POLICY_KEY_LEN, Request, Response, SECRET_LEN, Tpm2Object, Tpm2Seal, Tpm2Unseal};

use super::argon2id::Argon2id;
use super::{Material, Means, Opens, Place};
use crate::clock;
use crate::crypto;
use crate::door::{Door, DoorError};
use crate::slots::approvals;
use crate::slots::slot::{Kind, SlotError};

/// The longest name, public or private part that is stored, in bytes; a TPM's are far shorter.
const MAX_PART: usize = 2048;
const HALF: usize = 32;

/// Parameters as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tpm2Slot {
    /// What the TPM opens.
    pub(crate) object: Tpm2Object,
    /// Of the derivation.
    pub(crate) salt: [u8; 32],
    /// How the PIN is stretched; none without a PIN.
    pub(crate) pin: Option<Argon2id>,
    /// Opens one start and is removed by it.
    pub(crate) once: bool,
    /// When it was sealed, in microseconds since 1970-01-01 UTC.
    pub(crate) sealed_us: i64,
}

/// A PIN, stretched: 64 bytes, both halves.
pub(crate) struct Stretched {
    cost: Argon2id,
    halves: Secret<64>,
}

impl Stretched {
    /// From the PIN. Slow on purpose.
    pub(crate) fn new(pin: &[u8]) -> Result<Self, SlotError> {
        let cost = Argon2id::new()?;
        let halves = cost.hash(pin)?;
        Ok(Self { cost, halves })
    }

    /// From what was kept of it.
    pub(crate) fn kept(cost: Argon2id, halves: Secret<64>) -> Self {
        Self { cost, halves }
    }

    /// To be kept, so that the slot can be sealed anew without the PIN.
    pub(crate) fn halves(&self) -> &Secret<64> {
        &self.halves
    }
}

/// What a slot is to be bound to.
pub(crate) struct Binding<'a> {
    /// None: PCR 7 if it measures something.
    pub(crate) pcrs: Option<Vec<u8>>,
    /// A point on P-256, or empty.
    pub(crate) policy_key: &'a [u8],
    /// For one start.
    pub(crate) once: bool,
}

/// A value newly sealed.
pub(crate) struct Sealed {
    /// For the keyslots.
    pub(crate) slot: Tpm2Slot,
    /// What wraps the master key.
    pub(crate) material: Secret<32>,
    /// What the operator should know; whole sentences.
    pub(crate) notes: Vec<String>,
}

/// Seals a new random secret, and unseals it once to be sure that it comes back (unless that takes a signature, which
/// nobody may have given yet).
pub(crate) fn seal(door: &Door, to: &Binding<'_>, pin: Option<&Stretched>) -> Result<Sealed, SlotError> {
    let secret = Secret::<SECRET_LEN>::random()?;
    let mut salt = [0; 32];
    crypto::random(&mut salt)?;
    let auth = pin.map_or(&[][..], |pin| &pin.halves.expose()[..HALF]);
    let wanted = Tpm2Seal { secret: secret.expose(), pcrs: to.pcrs.clone(), auth, policy_key: to.policy_key };
    let (object, notes) = door.expect(&Request::Seal(wanted), |response| match response {
        Response::Sealed { object, notes } => Some((object, notes)),
        _ => None,
    })?;
    let slot =
        Tpm2Slot { object, salt, pin: pin.map(|pin| pin.cost.clone()), once: to.once, sealed_us: clock::now_us() };
    if !slot.is_plausible() || slot.object.policy_key != to.policy_key {
        return Err(DoorError::OtherAnswer.into());
    }
    let half = pin.map(|pin| &pin.halves.expose()[HALF..]);
    let material = slot.derive(&secret, half)?;
    if to.policy_key.is_empty() {
        let unseal = Tpm2Unseal { object: slot.object.clone(), auth, force: false, approvals: Vec::new() };
        if !unsealed(door, unseal)?.ct_eq(&secret) {
            return Err(SlotError::Unproven);
        }
    }
    Ok(Sealed { slot, material, notes })
}

impl Tpm2Slot {
    /// Could `merlon-seal` have made this?
    pub(crate) fn is_plausible(&self) -> bool {
        let Tpm2Object { srk_name, public, private, pcrs, policy_key, pin } = &self.object;
        [srk_name, public, private].iter().all(|part| (1..=MAX_PART).contains(&part.len()))
            && pcrs.iter().all(|pcr| pcr.index < PCRS)
            && pcrs.windows(2).all(|pair| pair[0].index < pair[1].index)
            && matches!(policy_key.len(), 0 | POLICY_KEY_LEN)
            && *pin == self.pin.is_some()
    }

    /// The PCRs that it is bound to.
    pub(crate) fn pcrs(&self) -> Vec<u8> {
        self.object.pcrs.iter().map(|pcr| pcr.index).collect()
    }

    /// From what the TPM gave, and with a PIN its second half.
    fn derive(&self, secret: &Secret<SECRET_LEN>, half: Option<&[u8]>) -> Result<Secret<32>, SlotError> {
        let Some(half) = half else {
            return Ok(crypto::derive(secret.expose(), &self.salt, b"merlon v1 tpm2")?);
        };
        let mut both = Secret::<64>::zeroed()?;
        let (first, second) = both.expose_mut().split_at_mut(SECRET_LEN);
        first.copy_from_slice(secret.expose());
        second.copy_from_slice(half);
        Ok(crypto::derive(both.expose(), &self.salt, b"merlon v1 tpm2 pin")?)
    }
}

fn unsealed(door: &Door, what: Tpm2Unseal<'_>) -> Result<Secret<SECRET_LEN>, SlotError> {
    super::secret_of(door, &Request::Unseal(what))
}

impl Opens for Tpm2Slot {
    fn kind(&self) -> Kind {
        Kind::Tpm2
    }

    fn material(&self, place: Place<'_>, from: Material<'_>) -> Result<Secret<32>, SlotError> {
        let halves = match &self.pin {
            Some(_) if from.typed.is_empty() => return Err(SlotError::NeedsPin),
            Some(cost) => Some(cost.hash::<64>(from.typed)?),
            None => None,
        };
        let kept = match self.object.policy_key.is_empty() {
            true => Vec::new(),
            false => approvals::of(from.means.dir(), place.id),
        };
        let secret = unsealed(
            &from.means.door,
            Tpm2Unseal {
                object: self.object.clone(),
                auth: halves.as_ref().map_or(&[], |halves| &halves.expose()[..HALF]),
                force: from.force,
                approvals: kept.iter().map(approvals::Kept::approval).collect(),
            },
        )?;
        self.derive(&secret, halves.as_ref().map(|halves| &halves.expose()[HALF..]))
    }

    fn parameters(&self) -> Vec<Vec<u8>> {
        let Tpm2Object { srk_name, public, private, pcrs, policy_key, pin } = &self.object;
        let pcrs = pcrs.iter().flat_map(|pcr| [pcr.index].into_iter().chain(pcr.value)).collect();
        let mut parts = vec![
            self.salt.to_vec(),
            srk_name.clone(),
            public.clone(),
            private.clone(),
            pcrs,
            policy_key.clone(),
            vec![u8::from(*pin), u8::from(self.once)],
            self.sealed_us.to_be_bytes().to_vec(),
        ];
        parts.extend(self.pin.iter().flat_map(Argon2id::parameters));
        parts
    }

    fn detail(&self) -> String {
        let pcrs: Vec<_> = self.object.pcrs.iter().map(|pcr| pcr.index.to_string()).collect();
        let mut words = vec![match pcrs.len() {
            0 => "no PCR".to_owned(),
            1 => format!("PCR {}", pcrs[0]),
            _ => format!("PCRs {}", pcrs.join(" ")),
        }];
        words.extend(self.pin.is_some().then(|| "PIN".to_owned()));
        words.extend((!self.object.policy_key.is_empty()).then(|| "signed policy".to_owned()));
        words.extend(self.once.then(|| "for the next start only".to_owned()));
        words.join(", ")
    }

    fn is_machine(&self, _: &Means) -> bool {
        self.pin.is_none()
    }
}
