//! `secrets.db`: the CA key, project keys, what access tokens and proxy passwords are checked against, the instance's
//! identity at its authorization server, and a hub's signing keys.
//!
//! Owns the file and its schema. Every value that is a key is wrapped once more under the value key, so that a
//! decrypted page in SQLite's cache holds no key. It decides nothing about who may ask.

mod claim;
mod identity;
mod marks;
mod projects;
mod proxy_users;
mod rotation;
mod schema;
mod sealed;
mod sessions;
mod signing_keys;
mod slot_secrets;
mod tokens;

use std::path::{Path, PathBuf};

use merlon_cipherdb::{DbError, Options, Synchronous};
use merlon_sandbox::secret::Secret;
use rusqlite::{Connection, OptionalExtension as _};

use crate::crypto::CryptoError;
use crate::instance_id::InstanceId;
use crate::keys::{MasterKey, Purpose};

pub(crate) use claim::Claim;
pub(crate) use proxy_users::MAX_PROXY_USERS;
pub(crate) use rotation::{NEXT, Waiting, remove as remove_database};
pub(crate) use sealed::{CaRow, SecretName};
pub(crate) use signing_keys::NewSigningKey;
pub(crate) use tokens::MAX_TOKENS;

/// The file's name in the keeper's directory.
pub(crate) const FILE: &str = "secrets.db";
/// The name under which it is made at the first start.
const UNFINISHED: &str = "secrets.db.new";

/// Why `secrets.db` could not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretsError {
    /// The database as such.
    #[error("{path}: {source}", path = .path.display())]
    Db {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        source: DbError,
    },
    /// The file opens, but is not this instance's, or lacks what a first start writes.
    #[error("{path} is not the database of this instance ({what}); restore it together with the keyslots from one backup", path = .path.display())]
    Foreign {
        /// Which file.
        path: PathBuf,
        /// What is missing or wrong.
        what: &'static str,
    },
    /// A statement.
    #[error("secrets.db: {0}")]
    Statement(#[from] DbError),
    /// A value that does not decrypt; or memory.
    #[error("secrets.db: {0}")]
    Crypto(#[from] CryptoError),
    /// Files around the database.
    #[error("{path}: {source}", path = .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// A name that must be unique.
    #[error("the name is taken")]
    Taken,
    /// A value that only this program writes has another form.
    #[error("secrets.db holds a value named {0} that cannot be read")]
    Mark(&'static str),
    /// Too many rows of a kind.
    #[error("there are too many already")]
    TooMany,
}

impl From<rusqlite::Error> for SecretsError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::ConstraintViolation) => Self::Taken,
            _ => Self::Statement(error.into()),
        }
    }
}

/// The open database.
pub(crate) struct SecretsDb {
    connection: Connection,
    instance: InstanceId,
    values: Secret<32>,
    token_hash: Secret<32>,
    proxy_hash: Secret<32>,
}

impl SecretsDb {
    /// Opens the database of a complete instance; never makes one.
    pub(crate) fn open(dir: &Path, master: &MasterKey) -> Result<Self, SecretsError> {
        let db = Self::at(&dir.join(FILE), master, false)?;
        let foreign = |what| SecretsError::Foreign { path: dir.join(FILE), what };
        let instance: Option<String> = db.meta("instance")?;
        match instance {
            None => Err(foreign("it names no instance")),
            Some(name) if name != master.instance().hex() => Err(foreign("it names another instance")),
            Some(_) => Ok(db),
        }
    }

    /// Makes the database of a new instance under another name, lets `fill` write into it, and puts it in its place, so
    /// that the file is either not there or whole. What a killed first start left under the other name is discarded.
    pub(crate) fn create<E: From<SecretsError>>(
        dir: &Path,
        master: &MasterKey,
        fill: impl FnOnce(&Self) -> Result<(), E>,
    ) -> Result<Self, E> {
        let unfinished = dir.join(UNFINISHED);
        rotation::remove(dir, UNFINISHED)?;
        let db = Self::at(&unfinished, master, true)?;
        db.batch("BEGIN IMMEDIATE")?;
        db.set_meta("instance", &master.instance().hex())?;
        fill(&db)?;
        db.batch("COMMIT")?;
        // Here all of it reaches the disk.
        db.checkpoint()?;
        drop(db);
        let io = |source| SecretsError::Io { path: dir.join(FILE), source };
        std::fs::rename(&unfinished, dir.join(FILE)).map_err(io)?;
        std::fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(io)?;
        Ok(Self::open(dir, master)?)
    }

    /// Is there a database?
    pub(crate) fn exists(dir: &Path) -> bool {
        dir.join(FILE).symlink_metadata().is_ok()
    }

    fn at(path: &Path, master: &MasterKey, create: bool) -> Result<Self, SecretsError> {
        let connection = Self::connect(path, &master.derive(Purpose::Pages)?, create)?;
        let mut db = Self {
            connection,
            instance: *master.instance(),
            values: master.derive(Purpose::Values)?,
            token_hash: master.derive(Purpose::TokenHash)?,
            proxy_hash: master.derive(Purpose::ProxyHash)?,
        };
        db.take_hash_keys()?;
        Ok(db)
    }

    fn connect(path: &Path, pages: &Secret<32>, create: bool) -> Result<Connection, SecretsError> {
        let db = |source| SecretsError::Db { path: path.to_owned(), source };
        // A new file counts only once it has been checkpointed and renamed, so no commit before that waits for the disk.
        let synchronous = if create { Synchronous::Normal } else { Synchronous::Full };
        let options = Options { cache_kib: 512, create, synchronous, ..Options::default() };
        let mut connection = merlon_cipherdb::open(path, pages, options).map_err(db)?;
        crate::crypto::scrub();
        // What is deleted is overwritten: a deleted project's key must not be found in a free page.
        connection.pragma_update(None, "secure_delete", true).map_err(|e| db(e.into()))?;
        merlon_cipherdb::migrate(&mut connection, schema::STEPS).map_err(db)?;
        Ok(connection)
    }

    /// Lets go of the file, which is to be replaced; every request after this fails.
    pub(crate) fn close(&mut self) -> Result<(), SecretsError> {
        let connection = std::mem::replace(&mut self.connection, Connection::open_in_memory()?);
        connection.close().map_err(|(_, error)| error.into())
    }

    /// Empties the log into the file.
    pub(crate) fn checkpoint(&self) -> Result<(), SecretsError> {
        Ok(merlon_cipherdb::checkpoint(&self.connection)?)
    }

    /// The project opened last, if it still exists.
    pub(crate) fn last_project(&self) -> Result<Option<u64>, SecretsError> {
        let id = self.meta::<i64>("last_project")?;
        Ok(match id {
            Some(id) if self.project_exists(id)? => u64::try_from(id).ok(),
            _ => None,
        })
    }

    fn batch(&self, sql: &str) -> Result<(), SecretsError> {
        Ok(self.connection.execute_batch(sql)?)
    }

    fn meta<T: rusqlite::types::FromSql>(&self, name: &str) -> Result<Option<T>, SecretsError> {
        let mut statement = self.connection.prepare("SELECT value FROM meta WHERE name = ?1")?;
        Ok(statement.query_row([name], |row| row.get(0)).optional()?)
    }

    fn set_meta(&self, name: &str, value: &dyn rusqlite::ToSql) -> Result<(), SecretsError> {
        let sql = "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2";
        self.connection.prepare(sql)?.execute(rusqlite::params![name, value])?;
        Ok(())
    }
}
