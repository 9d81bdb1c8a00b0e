//! Proxy users: a name, and the keyed hash of a generated password.

use merlon_sandbox::secret::SecretBuf;
use rusqlite::{OptionalExtension as _, params};

use super::{SecretsDb, SecretsError};
use crate::{clock, crypto, generated};

/// The most proxy users of an instance; their list must fit a frame.
pub(crate) const MAX_PROXY_USERS: u32 = 256;
/// 128 random bits.
const RANDOM_BYTES: usize = 16;

impl SecretsDb {
    /// A new user; the password is shown once.
    pub(crate) fn create_proxy_user(&self, name: &str) -> Result<SecretBuf, SecretsError> {
        let count: u32 = self.connection.query_row("SELECT count(*) FROM proxy_users", (), |row| row.get(0))?;
        if count >= MAX_PROXY_USERS {
            return Err(SecretsError::TooMany);
        }
        let password = generated::text::<RANDOM_BYTES>(b"")?;
        let hash = self.hash_of_password(name, password.as_slice());
        let sql = "INSERT INTO proxy_users (name, created_us, hash) VALUES (?1, ?2, ?3)";
        self.connection.execute(sql, params![name, clock::now_us(), hash])?;
        Ok(password)
    }

    /// All names.
    pub(crate) fn proxy_users(&self) -> Result<Vec<String>, SecretsError> {
        let mut statement = self.connection.prepare("SELECT name FROM proxy_users ORDER BY name")?;
        let rows = statement.query_map((), |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Removes a user. False if there is none.
    pub(crate) fn remove_proxy_user(&self, name: &str) -> Result<bool, SecretsError> {
        Ok(self.connection.execute("DELETE FROM proxy_users WHERE name = ?1", [name])? > 0)
    }

    /// Is this the password of this user? An unknown user takes the same path and the same time.
    pub(crate) fn verify_proxy_user(&self, name: &str, password: &[u8]) -> Result<bool, SecretsError> {
        let mut statement = self.connection.prepare("SELECT hash FROM proxy_users WHERE name = ?1")?;
        let stored: Option<Vec<u8>> = statement.query_row([name], |row| row.get(0)).optional()?;
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| vec![0; 32]);
        let equal = crypto::equal(&stored, &self.hash_of_password(name, password));
        Ok(known & equal)
    }

    fn hash_of_password(&self, name: &str, password: &[u8]) -> [u8; 32] {
        crypto::mac_of_parts(&self.proxy_hash, &[name.as_bytes(), password])
    }
}
