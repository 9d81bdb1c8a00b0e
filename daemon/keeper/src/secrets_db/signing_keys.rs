//! A hub's signing keys: at most one of each algorithm and state, the secret part sealed.

use merlon_sandbox::secret::SecretBuf;
use merlon_wire::hub::{Algorithm, KeyState, SigningKey};
use rusqlite::params;

use super::{SecretsDb, SecretsError};

const TABLE: &str = "signing_keys";

/// A key to be stored.
pub(crate) struct NewSigningKey {
    pub(crate) described: SigningKey,
    /// The secret part, as it is kept.
    pub(crate) kept: SecretBuf,
}

impl SecretsDb {
    /// All keys with their secret parts, in the order of algorithm and age.
    pub(crate) fn signing_keys(&self) -> Result<Vec<(SigningKey, SecretBuf)>, SecretsError> {
        let sql = "SELECT kid, algorithm, state, created_us, public, sealed FROM signing_keys ORDER BY algorithm, created_us, kid";
        let mut statement = self.connection.prepare(sql)?;
        let rows = statement.query_map((), |row| {
            let texts: (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok((texts, row.get::<_, i64>(3)?, row.get::<_, Vec<u8>>(4)?, row.get::<_, Vec<u8>>(5)?))
        })?;
        let mut keys = Vec::new();
        for row in rows {
            let ((id, algorithm, state), created_us, public_key, sealed) = row?;
            let algorithm = match algorithm.as_str() {
                "ES256" => Algorithm::Es256,
                "RS256" => Algorithm::Rs256,
                _ => return Err(SecretsError::Mark(TABLE)),
            };
            let state = match state.as_str() {
                "next" => KeyState::Next,
                "current" => KeyState::Current,
                "previous" => KeyState::Previous,
                _ => return Err(SecretsError::Mark(TABLE)),
            };
            let kept = self.unseal_bytes(TABLE, &id, &sealed)?;
            keys.push((SigningKey { id, algorithm, state, public_key, created_us }, kept));
        }
        Ok(keys)
    }

    /// Stores all of them, or none.
    pub(crate) fn add_signing_keys(&self, keys: &[NewSigningKey]) -> Result<(), SecretsError> {
        let transaction = self.connection.unchecked_transaction()?;
        self.insert_signing_keys(keys)?;
        Ok(transaction.commit()?)
    }

    /// Moves every key on by one state, and stores the new ones; the keys before the previous ones are overwritten, and
    /// the log that still holds them is emptied.
    pub(crate) fn rotate_signing_keys(&self, new: &[NewSigningKey]) -> Result<(), SecretsError> {
        let transaction = self.connection.unchecked_transaction()?;
        self.batch(
            "DELETE FROM signing_keys WHERE state = 'previous';
             UPDATE signing_keys SET state = 'previous' WHERE state = 'current';
             UPDATE signing_keys SET state = 'current' WHERE state = 'next';",
        )?;
        self.insert_signing_keys(new)?;
        transaction.commit()?;
        self.checkpoint()
    }

    fn insert_signing_keys(&self, keys: &[NewSigningKey]) -> Result<(), SecretsError> {
        let sql = "INSERT INTO signing_keys (kid, algorithm, state, created_us, public, sealed) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let mut statement = self.connection.prepare(sql)?;
        for NewSigningKey { described: key, kept } in keys {
            let algorithm = match key.algorithm {
                Algorithm::Es256 => "ES256",
                Algorithm::Rs256 => "RS256",
            };
            let state = match key.state {
                KeyState::Next => "next",
                KeyState::Current => "current",
                KeyState::Previous => "previous",
            };
            let sealed = self.seal_bytes(TABLE, &key.id, kept.as_slice())?;
            statement.execute(params![key.id, algorithm, state, key.created_us, key.public_key, sealed])?;
        }
        Ok(())
    }
}
