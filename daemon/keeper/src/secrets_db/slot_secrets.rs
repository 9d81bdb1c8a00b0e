//! What is kept of the PINs of `tpm2` slots, so that such a slot can be sealed anew without its PIN: the 64 bytes that
//! Argon2id made of it, never the PIN.

use merlon_sandbox::secret::Secret;
use rusqlite::{OptionalExtension as _, params};

use super::{SecretsDb, SecretsError};

const HALF: usize = 32;

impl SecretsDb {
    /// Keeps the stretched PIN of a slot.
    pub(crate) fn put_slot_secret(&self, slot: u32, stretched: &Secret<64>) -> Result<(), SecretsError> {
        let (auth, other) = stretched.expose().split_at(HALF);
        let sealed = |column, half: &[u8]| {
            let half = Secret::init(|bytes: &mut [u8; HALF]| bytes.copy_from_slice(half))?;
            self.seal("slot_secrets", &row(slot, column), &half)
        };
        let sql = "INSERT OR REPLACE INTO slot_secrets (slot, auth, other) VALUES (?1, ?2, ?3)";
        self.connection.execute(sql, params![slot, sealed("auth", auth)?, sealed("other", other)?])?;
        Ok(())
    }

    /// The stretched PIN of a slot, if it was kept.
    pub(crate) fn slot_secret(&self, slot: u32) -> Result<Option<Secret<64>>, SecretsError> {
        let sql = "SELECT auth, other FROM slot_secrets WHERE slot = ?1";
        let found: Option<(Vec<u8>, Vec<u8>)> =
            self.connection.query_row(sql, [slot], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some((auth, other)) = found else { return Ok(None) };
        let mut stretched = Secret::<64>::zeroed()?;
        let (first, second) = stretched.expose_mut().split_at_mut(HALF);
        first.copy_from_slice(self.unseal("slot_secrets", &row(slot, "auth"), &auth)?.expose());
        second.copy_from_slice(self.unseal("slot_secrets", &row(slot, "other"), &other)?.expose());
        Ok(Some(stretched))
    }

    /// Forgets that of a slot which is removed.
    pub(crate) fn delete_slot_secret(&self, slot: u32) -> Result<(), SecretsError> {
        self.connection.execute("DELETE FROM slot_secrets WHERE slot = ?1", [slot])?;
        Ok(())
    }
}

fn row(slot: u32, column: &str) -> String {
    format!("{slot} {column}")
}
