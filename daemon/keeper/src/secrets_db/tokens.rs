//! Access tokens: shown once, stored as keyed hashes.

use data_encoding::HEXLOWER;
use merlon_sandbox::secret::SecretBuf;
use merlon_wire::admin::Token;
use merlon_wire::keeper::TokenIdentity;
use rusqlite::{OptionalExtension as _, params};

use super::{SecretsDb, SecretsError};
use crate::crypto::{self, CryptoError};
use crate::{clock, generated};

/// The most tokens of an instance; their list must fit a frame.
pub(crate) const MAX_TOKENS: u32 = 256;
/// What a token begins with, so that secret scanners and people recognise it.
const PREFIX: &[u8] = b"merlon_";
/// 200 random bits.
const RANDOM_BYTES: usize = 25;

/// A token as it is shown once.
pub(crate) struct NewToken {
    /// Public id.
    pub(crate) id: String,
    /// The token.
    pub(crate) text: SecretBuf,
}

impl SecretsDb {
    /// A new token for a role that exists.
    pub(crate) fn create_token(&self, role: &str, label: &str) -> Result<NewToken, SecretsError> {
        let count: u32 = self.connection.query_row("SELECT count(*) FROM tokens", (), |row| row.get(0))?;
        if count >= MAX_TOKENS {
            return Err(SecretsError::TooMany);
        }
        let mut id = [0; 6];
        crypto::random(&mut id)?;
        let id = format!("tok_{}", HEXLOWER.encode(&id));
        let text = generated::text::<RANDOM_BYTES>(PREFIX)?;
        let sql = "INSERT INTO tokens (id, role, label, created_us, hash) VALUES (?1, ?2, ?3, ?4, ?5)";
        let hash = self.hash_of_token(text.as_slice());
        self.connection.execute(sql, params![id, role, label, clock::now_us(), hash])?;
        Ok(NewToken { id, text })
    }

    /// All tokens, without their values.
    pub(crate) fn tokens(&self) -> Result<Vec<Token>, SecretsError> {
        let sql = "SELECT id, role, label, created_us FROM tokens ORDER BY created_us, id";
        let mut statement = self.connection.prepare(sql)?;
        let rows = statement.query_map((), |row| {
            Ok(Token { id: row.get(0)?, role: row.get(1)?, label: row.get(2)?, created_us: row.get(3)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Revokes a token. False if there is none.
    pub(crate) fn revoke_token(&self, id: &str) -> Result<bool, SecretsError> {
        Ok(self.connection.execute("DELETE FROM tokens WHERE id = ?1", [id])? > 0)
    }

    /// Whose token is this? The lookup is by a keyed hash, whose timing tells nothing about the token; the hash found is
    /// compared once more in constant time.
    pub(crate) fn token_identity(&self, token: &[u8]) -> Result<Option<TokenIdentity>, SecretsError> {
        let hash = self.hash_of_token(token);
        let sql = "SELECT id, role, label, hash FROM tokens WHERE hash = ?1";
        let found = self.connection.prepare(sql)?.query_row([hash], |row| {
            let stored: Vec<u8> = row.get(3)?;
            Ok((TokenIdentity { id: row.get(0)?, role: row.get(1)?, label: row.get(2)? }, stored))
        });
        Ok(found.optional()?.filter(|(_, stored)| crypto::equal(stored, &hash)).map(|(identity, _)| identity))
    }

    fn hash_of_token(&self, token: &[u8]) -> [u8; 32] {
        crypto::mac_of_parts(&self.token_hash, &[token])
    }
}

impl From<merlon_sandbox::secret::SecretError> for SecretsError {
    fn from(error: merlon_sandbox::secret::SecretError) -> Self {
        Self::Crypto(CryptoError::from(error))
    }
}
