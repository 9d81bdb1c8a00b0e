//! Named secrets and the CA's row: a fixed set, each value wrapped under the value key.

use merlon_sandbox::secret::{Secret, SecretBuf};
use rusqlite::{OptionalExtension as _, params};

use super::{SecretsDb, SecretsError};
use crate::crypto;

/// The secrets that `secrets.db` may hold. There is no way to store one under another name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SecretName {
    /// The scalar of the CA's private key.
    CaKey,
    /// What the entries of the audit log are authenticated by.
    AuditKey,
}

impl SecretName {
    fn text(self) -> &'static str {
        match self {
            Self::CaKey => "ca-key",
            Self::AuditKey => "audit-key",
        }
    }
}

/// The public part of the CA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CaRow {
    /// Common name of subject and issuer.
    pub(crate) name: String,
    /// DER.
    pub(crate) certificate: Vec<u8>,
    /// Microseconds since 1970-01-01 UTC.
    pub(crate) not_after_us: i64,
}

impl SecretsDb {
    /// Stores a named secret.
    pub(crate) fn put_secret(&self, name: SecretName, value: &Secret<32>) -> Result<(), SecretsError> {
        let sealed = self.seal("secrets", name.text(), value)?;
        self.connection.execute("INSERT INTO secrets (name, sealed) VALUES (?1, ?2)", params![name.text(), sealed])?;
        Ok(())
    }

    /// A named secret, if it was stored.
    pub(crate) fn secret(&self, name: SecretName) -> Result<Option<Secret<32>>, SecretsError> {
        let sql = "SELECT sealed FROM secrets WHERE name = ?1";
        let sealed: Option<Vec<u8>> = self.connection.query_row(sql, [name.text()], |row| row.get(0)).optional()?;
        sealed.map(|sealed| self.unseal("secrets", name.text(), &sealed)).transpose()
    }

    /// Stores the CA.
    pub(crate) fn put_ca(&self, ca: &CaRow) -> Result<(), SecretsError> {
        let sql = "INSERT INTO ca (id, name, certificate, not_after_us) VALUES (1, ?1, ?2, ?3)";
        self.connection.execute(sql, params![ca.name, ca.certificate, ca.not_after_us])?;
        Ok(())
    }

    /// The CA, if it was stored.
    pub(crate) fn ca(&self) -> Result<Option<CaRow>, SecretsError> {
        let sql = "SELECT name, certificate, not_after_us FROM ca";
        let row = self.connection.query_row(sql, (), |row| {
            Ok(CaRow { name: row.get(0)?, certificate: row.get(1)?, not_after_us: row.get(2)? })
        });
        Ok(row.optional()?)
    }

    /// Wraps a key for one row of one table.
    pub(super) fn seal(
        &self,
        table: &str,
        row: &str,
        value: &Secret<32>,
    ) -> Result<[u8; crypto::SEALED_LEN], SecretsError> {
        Ok(crypto::seal(&self.values, &self.place(table, row), value)?)
    }

    /// Unwraps a key from where it was wrapped for.
    pub(super) fn unseal(&self, table: &str, row: &str, sealed: &[u8]) -> Result<Secret<32>, SecretsError> {
        Ok(crypto::open(&self.values, &self.place(table, row), sealed)?)
    }

    /// Wraps a value of any length for one row of one table.
    pub(super) fn seal_bytes(&self, table: &str, row: &str, value: &[u8]) -> Result<Vec<u8>, SecretsError> {
        Ok(crypto::seal_bytes(&self.values, &self.place(table, row), value)?)
    }

    /// Unwraps a value of any length from where it was wrapped for.
    pub(super) fn unseal_bytes(&self, table: &str, row: &str, sealed: &[u8]) -> Result<SecretBuf, SecretsError> {
        Ok(crypto::open_bytes(&self.values, &self.place(table, row), sealed)?)
    }

    /// Associated data: a value moved to another row, table or instance does not decrypt. Neither name holds a `|`.
    pub(super) fn place(&self, table: &str, row: &str) -> Vec<u8> {
        [self.instance.bytes().as_slice(), b"|", table.as_bytes(), b"|", row.as_bytes()].concat()
    }
}
