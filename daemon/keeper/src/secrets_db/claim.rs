//! The claim code: what somebody must have read on the host to make an instance without an owner theirs.
//!
//! There is one while there is no owner; it is made when it is first asked for, and gone with the claim.

use merlon_sandbox::secret::{Secret, SecretBuf};
use merlon_wire::identity::Owner;

use super::identity::CLAIM_CODE;
use super::{SecretsDb, SecretsError};
use crate::crypto;

/// Digits and letters without I, L, O and U, which are taken for others.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// 125 random bits.
const CHARACTERS: usize = 25;
const GROUP: usize = 5;
/// What is longer is no code, however many blanks are in it.
const MAX_TYPED: usize = 128;

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The account is the owner now, or was already.
    Done,
    /// The code is another one.
    BadCode,
    /// Somebody else is the owner.
    Taken,
}

impl SecretsDb {
    /// The claim code as it is shown, in groups; none once there is an owner.
    pub(crate) fn claim_code(&self) -> Result<Option<SecretBuf>, SecretsError> {
        let Some(code) = self.plain_claim_code()? else { return Ok(None) };
        let mut shown = SecretBuf::with_capacity(CHARACTERS + CHARACTERS / GROUP - 1)?;
        shown.set_len(shown.capacity());
        shown.as_mut_slice().fill(b'-');
        let groups = shown.as_mut_slice().chunks_mut(GROUP + 1).zip(code.as_slice().chunks(GROUP));
        groups.for_each(|(place, group)| place[..group.len()].copy_from_slice(group));
        Ok(Some(shown))
    }

    /// Is this the code? None if there is an owner, and so no code.
    pub(crate) fn is_claim_code(&self, typed: &[u8]) -> Result<Option<bool>, SecretsError> {
        let Some(code) = self.plain_claim_code()? else { return Ok(None) };
        let typed = normalised(typed)?;
        Ok(Some(typed.is_some_and(|typed| crypto::equal(typed.as_slice(), code.as_slice()))))
    }

    /// Ties the instance to an account if this is the code, which is used up by it.
    pub(crate) fn claim(&self, typed: &[u8], owner: &Owner) -> Result<Claim, SecretsError> {
        let transaction = self.connection.unchecked_transaction()?;
        if let Some(present) = self.owner()? {
            let same = (&present.issuer, &present.subject) == (&owner.issuer, &owner.subject);
            return Ok(if same { Claim::Done } else { Claim::Taken });
        }
        if self.is_claim_code(typed)? != Some(true) {
            // A code that was just made stays.
            transaction.commit()?;
            return Ok(Claim::BadCode);
        }
        self.set_owner(owner)?;
        transaction.commit()?;
        Ok(Claim::Done)
    }

    fn plain_claim_code(&self) -> Result<Option<SecretBuf>, SecretsError> {
        if self.owner()?.is_some() {
            return Ok(None);
        }
        if let Some(code) = self.identity_secret(CLAIM_CODE)? {
            return Ok(Some(code));
        }
        let random = Secret::<CHARACTERS>::random()?;
        let mut code = SecretBuf::with_capacity(CHARACTERS)?;
        code.set_len(CHARACTERS);
        let pairs = code.as_mut_slice().iter_mut().zip(random.expose());
        pairs.for_each(|(place, byte)| *place = ALPHABET[usize::from(byte % 32)]);
        self.set_identity_secret(CLAIM_CODE, code.as_slice())?;
        Ok(Some(code))
    }
}

/// As it is kept: without blanks and hyphens, in upper case, and with the letters that were meant. None if it can be no
/// code.
fn normalised(typed: &[u8]) -> Result<Option<SecretBuf>, SecretsError> {
    if typed.len() > MAX_TYPED {
        return Ok(None);
    }
    let mut code = SecretBuf::with_capacity(MAX_TYPED)?;
    let mut length = 0;
    for c in typed.iter().filter(|c| !c.is_ascii_whitespace() && **c != b'-') {
        code.as_full_mut_slice()[length] = match c.to_ascii_uppercase() {
            b'I' | b'L' => b'1',
            b'O' => b'0',
            c => c,
        };
        length += 1;
    }
    code.set_len(length);
    Ok(Some(code))
}
