//! Projects: a random key each, forgotten for good with the project.

use merlon_sandbox::secret::Secret;
use merlon_wire::keeper::{MAX_PROJECTS, Project};
use rusqlite::{OptionalExtension as _, params};

use super::{SecretsDb, SecretsError};
use crate::clock;

impl SecretsDb {
    /// All projects, in the order of their creation.
    pub(crate) fn projects(&self) -> Result<Vec<Project>, SecretsError> {
        let mut statement = self.connection.prepare("SELECT id, name, created_us FROM projects ORDER BY id")?;
        let rows = statement.query_map((), |row| {
            Ok(Project { id: row.get::<_, i64>(0)?.cast_unsigned(), name: row.get(1)?, created_us: row.get(2)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The id and the wrapped key of each project, in the order of their ids.
    pub(crate) fn sealed_project_keys(&self) -> Result<Vec<(i64, Vec<u8>)>, SecretsError> {
        let mut statement = self.connection.prepare("SELECT id, key FROM projects ORDER BY id")?;
        let rows = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// A new project with a new key. [`SecretsError::Taken`] if the name is in use.
    pub(crate) fn create_project(&mut self, name: &str) -> Result<Project, SecretsError> {
        let key = Secret::random().map_err(crate::crypto::CryptoError::from)?;
        let created_us = clock::now_us();
        let transaction = self.connection.unchecked_transaction()?;
        let count: u32 = transaction.query_row("SELECT count(*) FROM projects", (), |row| row.get(0))?;
        if count as usize >= MAX_PROJECTS {
            return Err(SecretsError::TooMany);
        }
        let sql = "INSERT INTO projects (name, created_us, key) VALUES (?1, ?2, x'')";
        transaction.execute(sql, params![name, created_us])?;
        let id = transaction.last_insert_rowid();
        // The id is part of what is authenticated, so it must be known first.
        let sealed = self.seal("projects", &id.to_string(), &key)?;
        transaction.execute("UPDATE projects SET key = ?2 WHERE id = ?1", params![id, sealed])?;
        transaction.commit()?;
        Ok(Project { id: id.cast_unsigned(), name: name.to_owned(), created_us })
    }

    /// The key of a project, which is remembered as the one opened last.
    pub(crate) fn project_key(&self, id: u64) -> Result<Option<Secret<32>>, SecretsError> {
        let Ok(id) = i64::try_from(id) else { return Ok(None) };
        let mut statement = self.connection.prepare("SELECT key FROM projects WHERE id = ?1")?;
        let sealed: Option<Vec<u8>> = statement.query_row([id], |row| row.get(0)).optional()?;
        let Some(sealed) = sealed else { return Ok(None) };
        let key = self.unseal("projects", &id.to_string(), &sealed)?;
        if self.meta::<i64>("last_project")? != Some(id) {
            self.set_meta("last_project", &id)?;
        }
        Ok(Some(key))
    }

    /// Forgets a project and its key: the row is overwritten, and the log that still holds it is emptied. False if there
    /// is no such project.
    pub(crate) fn delete_project(&self, id: u64) -> Result<bool, SecretsError> {
        let Ok(id) = i64::try_from(id) else { return Ok(false) };
        let deleted = self.connection.execute("DELETE FROM projects WHERE id = ?1", [id])?;
        self.checkpoint()?;
        Ok(deleted > 0)
    }

    pub(super) fn project_exists(&self, id: i64) -> Result<bool, SecretsError> {
        let mut statement = self.connection.prepare("SELECT 1 FROM projects WHERE id = ?1")?;
        Ok(statement.exists([id])?)
    }
}
