//! What `secrets.db` remembers of things outside it, so that an older or shorter copy of them is noticed: the head of
//! the audit log, and the generation of the keeper's files.

use super::{SecretsDb, SecretsError};
use crate::audit::Head;

const AUDIT_HEAD: &str = "audit_head";
const GENERATION: &str = "generation";

impl SecretsDb {
    /// The last entry of the audit log; none before the first.
    pub(crate) fn audit_head(&self) -> Result<Option<Head>, SecretsError> {
        let Some(stored) = self.meta::<Vec<u8>>(AUDIT_HEAD)? else { return Ok(None) };
        let damaged = || SecretsError::Mark(AUDIT_HEAD);
        let (sequence, hash) = stored.split_at_checked(8).ok_or_else(damaged)?;
        let sequence = u64::from_be_bytes(sequence.try_into().map_err(|_| damaged())?);
        Ok(Some(Head { sequence, hash: hash.try_into().map_err(|_| damaged())? }))
    }

    /// Remembers the last entry of the audit log.
    pub(crate) fn set_audit_head(&self, head: &Head) -> Result<(), SecretsError> {
        self.set_meta(AUDIT_HEAD, &[head.sequence.to_be_bytes().as_slice(), &head.hash].concat())
    }

    /// The generation of this file; none if it was never counted.
    pub(crate) fn generation(&self) -> Result<Option<u64>, SecretsError> {
        Ok(self.meta::<i64>(GENERATION)?.map(i64::cast_unsigned))
    }

    /// Remembers the generation of this file.
    pub(crate) fn set_generation(&self, generation: u64) -> Result<(), SecretsError> {
        self.set_meta(GENERATION, &generation.cast_signed())
    }
}
