//! The instances that a user has named: `instances.toml` in the user's configuration directory.
//!
//! Owns that file: addresses of remote instances, how their certificates are known, and which instance is meant if none is
//! named. It holds no secret. It is read where a name has to be found, and written whole or not at all.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use crate::env::Env;
use crate::error::CliError;
use crate::file::Output;

/// The largest file: far more than anybody names.
const MAX_FILE: u64 = 256 << 10;
/// The most entries.
const MAX_ENTRIES: usize = 500;

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Book {
    /// The instance that is meant if none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) default: Option<String>,
    /// Remote instances by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) remote: BTreeMap<String, Entry>,
}

/// A remote instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// The address of its API.
    pub(crate) url: String,
    /// PEM file with the only roots to trust for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca_file: Option<PathBuf>,
    /// SHA-256 of a certificate that it shows: its own, or that of its CA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pin: Option<String>,
}

impl Book {
    /// What the user has written down; nothing if there is no file.
    ///
    /// # Errors
    /// The file cannot be read, or holds something else.
    pub(crate) fn read(env: &Env) -> Result<Self, CliError> {
        match path(env) {
            Some(path) => Self::from_file(&path),
            None => Ok(Self::default()),
        }
    }

    fn from_file(path: &Path) -> Result<Self, CliError> {
        let wrong = |why: String| {
            CliError::failed(format!("{} cannot be used", path.display())).because(why).hint(format!(
                "correct it, or remove it and name the instances again: merlon instance add ({})",
                path.display()
            ))
        };
        let file = match fs::File::open(path) {
            Ok(file) => file,
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Self::default()),
            Err(e) => return Err(wrong(e.to_string())),
        };
        let mut text = String::new();
        file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(|e| wrong(e.to_string()))?;
        if text.len() as u64 > MAX_FILE {
            return Err(wrong(format!("it is larger than {MAX_FILE} bytes")));
        }
        toml::from_str(&text).map_err(|e| wrong(e.to_string().trim_end().to_owned()))
    }

    /// Changes the file; two `merlon` at once wait for each other.
    ///
    /// # Errors
    /// The change refuses, there is no home directory, or the file cannot be read or written.
    pub(crate) fn change<T>(env: &Env, change: impl FnOnce(&mut Self) -> Result<T, CliError>) -> Result<T, CliError> {
        let path = path(env).ok_or_else(|| {
            CliError::failed("there is no place for the names of instances")
                .because("neither XDG_CONFIG_HOME nor HOME is set")
                .hint("set HOME, or name the instance each time: --url https://HOST:8443")
        })?;
        let directory = path.parent().unwrap_or(&path);
        let failed = |e: std::io::Error| CliError::failed(format!("{} cannot be written", path.display())).because(e);
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
        let directory = fs::File::open(directory).map_err(failed)?;
        let _turn = Flock::lock(directory, FlockArg::LockExclusive).map_err(|(_, e)| failed(e.into()))?;
        let mut book = Self::from_file(&path)?;
        let before = book.clone();
        let done = change(&mut book)?;
        if book.remote.len() > MAX_ENTRIES {
            return Err(CliError::failed(format!("no more than {MAX_ENTRIES} remote instances can be named"))
                .hint("merlon instance remove NAME"));
        }
        if book != before {
            let text = toml::to_string(&book)
                .map_err(|e| CliError::failed(format!("{} cannot be written", path.display())).because(e))?;
            let mut output = Output::create(&path, 0o600)?;
            output.write(text.as_bytes())?;
            output.finish_durably()?;
        }
        Ok(done)
    }
}

fn path(env: &Env) -> Option<PathBuf> {
    env.config_home.as_ref().map(|home| home.join("merlon/instances.toml"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn env(name: &str) -> Env {
        let home = std::env::temp_dir().join(format!("merlon-book-{name}-{}", std::process::id()));
        Env { config_home: Some(home), ..Env::default() }
    }

    #[test]
    fn what_was_written_is_read_again_and_private() {
        let env = env("again");
        assert_eq!(Book::read(&env).unwrap(), Book::default());
        let entry = Entry { url: "https://h:8443".into(), ca_file: Some("/x/ca.pem".into()), pin: None };
        Book::change(&env, |book| {
            book.default = Some("lab".into());
            book.remote.insert("lab".into(), entry.clone());
            Ok(())
        })
        .unwrap();
        let book = Book::read(&env).unwrap();
        assert_eq!((book.default.as_deref(), book.remote.get("lab")), (Some("lab"), Some(&entry)));
        let file = path(&env).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        fs::remove_dir_all(env.config_home.unwrap()).unwrap();
    }

    #[test]
    fn a_change_that_refuses_writes_nothing_and_a_broken_file_is_named() {
        let env = env("broken");
        assert!(Book::change(&env, |_| Err::<(), _>(CliError::failed("no"))).is_err());
        let file = path(&env).unwrap();
        assert!(!file.exists());
        for broken in ["default = 1", "colour = \"red\"", "[remote.x]\nurl = \"https://h\"\ntoken = \"t\""] {
            fs::write(&file, broken).unwrap();
            let error = Book::read(&env).unwrap_err();
            assert!(error.what.contains("instances.toml") && error.why.is_some(), "{broken}: {error:?}");
        }
        fs::remove_dir_all(env.config_home.unwrap()).unwrap();
    }
}
