//! Replacing all keys, as far as `secrets.db` is concerned: the file under a new master key, and the list of projects
//! that wait for their new key.
//!
//! Everything that is wrapped under the value key must stand in [`SEALED`], or be dealt with here by name.

use std::io::ErrorKind;
use std::path::Path;

use merlon_sandbox::secret::Secret;
use rusqlite::{OptionalExtension as _, params};

use super::{FILE, SecretsDb, SecretsError};
use crate::crypto::{self, CryptoError};
use crate::keys::{MasterKey, Purpose};

/// The file that becomes `secrets.db`.
pub(crate) const NEXT: &str = "secrets.db.next";

/// Table, the column that names a row, and the column that holds a value wrapped for `table|row`.
const SEALED: [(&str, &str, &str); 5] = [
    ("secrets", "name", "sealed"),
    ("projects", "id", "key"),
    ("hash_keys", "name", "sealed"),
    ("identity_secrets", "name", "sealed"),
    ("signing_keys", "kid", "sealed"),
];
/// What stands in place of the table for `projects.next_key`, so that it is never taken for `projects.key`.
const NEXT_KEYS: &str = "projects.next";
/// The rows of `hash_keys`.
const TOKEN: &str = "token";
const PROXY: &str = "proxy";

/// A project that waits for its new key.
pub(crate) struct Waiting {
    pub(crate) id: u64,
    /// What its files are under, or were before a kill.
    pub(crate) key: Secret<32>,
    /// What they are to be under.
    pub(crate) next: Secret<32>,
}

impl SecretsDb {
    /// Writes [`NEXT`]: all of this database under another master key, with a new key for each project to be put in
    /// place. What was written is on disk when this returns; this database is as it was.
    pub(crate) fn write_next(&self, dir: &Path, old: &MasterKey, new: &MasterKey) -> Result<(), SecretsError> {
        let path = dir.join(NEXT);
        let db = |source| SecretsError::Db { path: path.clone(), source };
        remove(dir, NEXT)?;
        self.checkpoint()?;
        std::fs::copy(dir.join(FILE), &path).map_err(|source| SecretsError::Io { path: path.clone(), source })?;
        let connection = Self::connect(&path, &old.derive(Purpose::Pages)?, false)?;
        // First, so that no new value is ever on a page under the old key.
        merlon_cipherdb::rekey(&connection, &new.derive(Purpose::Pages)?).map_err(db)?;
        crypto::scrub();
        let values = new.derive(Purpose::Values)?;
        let seal = |table: &str, row: &str, value: &Secret<32>| crypto::seal(&values, &self.place(table, row), value);
        let transaction = connection.unchecked_transaction()?;
        // What was kept of PINs: slots with a PIN go with the old master key.
        transaction.execute("DELETE FROM slot_secrets", ())?;
        for (table, name, column) in SEALED {
            let select = format!("SELECT CAST({name} AS TEXT), {column} FROM {table}");
            let update = format!("UPDATE {table} SET {column} = ?2 WHERE CAST({name} AS TEXT) = ?1");
            let mut rows = transaction.prepare(&select)?;
            let rows = rows.query_map((), |row| Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
            for row in rows.collect::<Result<Vec<_>, _>>()? {
                let value = self.unseal_bytes(table, &row.0, &row.1)?;
                let sealed = crypto::seal_bytes(&values, &self.place(table, &row.0), value.as_slice())?;
                transaction.execute(&update, params![row.0, sealed])?;
            }
        }
        for (name, key) in [(TOKEN, &self.token_hash), (PROXY, &self.proxy_hash)] {
            let sql = "INSERT INTO hash_keys VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING";
            transaction.execute(sql, params![name, seal("hash_keys", name, key)?])?;
        }
        let ids = transaction
            .prepare("SELECT id FROM projects")?
            .query_map((), |row| row.get(0))?
            .collect::<Result<Vec<i64>, _>>()?;
        for id in ids {
            let key = Secret::random().map_err(CryptoError::from)?;
            let sql = "UPDATE projects SET next_key = ?2 WHERE id = ?1";
            transaction.execute(sql, params![id, seal(NEXT_KEYS, &id.to_string(), &key)?])?;
        }
        transaction.commit()?;
        merlon_cipherdb::checkpoint(&connection).map_err(db)?;
        connection.close().map_err(|(_, error)| SecretsError::from(error))
    }

    /// How many projects wait for their new key.
    pub(crate) fn waiting(&self) -> Result<u32, SecretsError> {
        let sql = "SELECT count(*) FROM projects WHERE next_key IS NOT NULL";
        Ok(self.connection.query_row(sql, (), |row| row.get(0))?)
    }

    /// The first of them behind id `after`.
    pub(crate) fn next_waiting(&self, after: u64) -> Result<Option<Waiting>, SecretsError> {
        let Ok(after) = i64::try_from(after) else { return Ok(None) };
        let sql = "SELECT id, key, next_key FROM projects WHERE next_key IS NOT NULL AND id > ?1 ORDER BY id LIMIT 1";
        let row = self.connection.query_row(sql, [after], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?, row.get::<_, Vec<u8>>(2)?))
        });
        let Some((id, key, next)) = row.optional()? else { return Ok(None) };
        let row = id.to_string();
        let (key, next) = (self.unseal("projects", &row, &key)?, self.unseal(NEXT_KEYS, &row, &next)?);
        Ok(Some(Waiting { id: id.cast_unsigned(), key, next }))
    }

    /// The project has its new key: the old one is overwritten, and the log that still holds it is emptied. False if
    /// there is no such project; one that waits for nothing is left alone.
    pub(crate) fn rekeyed(&self, id: u64) -> Result<bool, SecretsError> {
        let Ok(id) = i64::try_from(id) else { return Ok(false) };
        let transaction = self.connection.unchecked_transaction()?;
        let sql = "SELECT next_key FROM projects WHERE id = ?1";
        let Some(next) = transaction.query_row(sql, [id], |row| row.get::<_, Option<Vec<u8>>>(0)).optional()? else {
            return Ok(false);
        };
        let Some(next) = next else { return Ok(true) };
        let row = id.to_string();
        let key = self.seal("projects", &row, &self.unseal(NEXT_KEYS, &row, &next)?)?;
        transaction.execute("UPDATE projects SET key = ?2, next_key = NULL WHERE id = ?1", params![id, key])?;
        transaction.commit()?;
        self.checkpoint()?;
        Ok(true)
    }

    /// The keys of hashes, if they are older than the master key.
    pub(super) fn take_hash_keys(&mut self) -> Result<(), SecretsError> {
        if let Some(key) = self.hash_key(TOKEN)? {
            self.token_hash = key;
        }
        if let Some(key) = self.hash_key(PROXY)? {
            self.proxy_hash = key;
        }
        Ok(())
    }

    fn hash_key(&self, name: &str) -> Result<Option<Secret<32>>, SecretsError> {
        let sql = "SELECT sealed FROM hash_keys WHERE name = ?1";
        let sealed: Option<Vec<u8>> = self.connection.query_row(sql, [name], |row| row.get(0)).optional()?;
        sealed.map(|sealed| self.unseal("hash_keys", name, &sealed)).transpose()
    }
}

/// Removes a database and what SQLite puts beside it; what is missing is no error.
pub(crate) fn remove(dir: &Path, name: &str) -> Result<(), SecretsError> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let path = dir.join(format!("{name}{suffix}"));
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != ErrorKind::NotFound => return Err(SecretsError::Io { path, source }),
            _ => {}
        }
    }
    Ok(())
}
