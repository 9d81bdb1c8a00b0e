//! Which instance is meant, and how it is reached. Flags beat the environment, which beats what the user has chosen with
//! `merlon instance use`, which beats the default.
//!
//! Decides and looks at what exists; opens no connection and reads no secret.

mod remote;

use std::fmt;
use std::path::{Path, PathBuf};

use merlon_config::{InstanceName, Paths};

use crate::args::Global;
use crate::book::Book;
use crate::env::Env;
use crate::error::{CliError, Exit};
pub(crate) use crate::quoting::quoted;
pub(crate) use remote::{Pin, Remote, parse_pin};

const DEFAULT_INSTANCE: &str = "default";

/// An instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// On this host.
    Local(Local),
    /// Somewhere else.
    Remote(Remote),
}

/// An instance on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Local {
    pub(crate) paths: Paths,
    pub(crate) owner: Owner,
}

/// Whose instance it is, which says how it is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A service with this name.
    System(InstanceName),
    /// Everything below one directory.
    Directory(PathBuf),
    /// The system's hub. It has a keeper, and no API of an instance.
    Hub,
}

impl Target {
    /// # Errors
    /// Wrong use: names and addresses that cannot be, settings that contradict each other.
    pub(crate) fn resolve(global: &Global, env: &Env) -> Result<Self, CliError> {
        let flagged = global.data_dir.is_some() || global.instance.is_some() || global.url.is_some();
        if global.hub {
            return Ok(Self::Local(Local::hub()));
        }
        let (data_dir, instance, url) = if flagged {
            (global.data_dir.as_ref(), global.instance.as_ref(), global.url.as_ref())
        } else {
            (env.data_dir.as_ref(), env.instance.as_ref(), env.url.as_ref())
        };
        let found = match (data_dir, instance, url) {
            (None, None, Some(url)) => Self::Remote(Remote::parse(url)?),
            (Some(dir), None, None) => Self::Local(Local::directory(dir)),
            (None, Some(name), None) => Self::named(name, &Book::read(env)?, env)?,
            (None, None, None) => {
                let book = Book::read(env)?;
                Self::named(book.default.as_deref().unwrap_or(DEFAULT_INSTANCE), &book, env)?
            }
            _ => {
                return Err(CliError::usage("the environment names the instance in more than one way")
                    .because("more than one of MERLON_DATA_DIR, MERLON_INSTANCE and MERLON_URL is set")
                    .hint("unset all but one, or use --data-dir, --instance or --url"));
            }
        };
        match found {
            Self::Remote(mut remote) => {
                remote.token_file = global.token_file.clone().or_else(|| env.token_file.clone());
                if let Some(file) = global.ca_file.clone().or_else(|| env.ca_file.clone()) {
                    (remote.ca_file, remote.pin) = (Some(file), None);
                }
                Ok(Self::Remote(remote))
            }
            Self::Local(_) if global.token_file.is_some() || global.ca_file.is_some() => {
                Err(CliError::usage("--token-file and --ca-file are for a remote instance")
                    .because("a local instance is asked over its Unix socket and needs neither")
                    .hint("name the instance with --url https://HOST:8443"))
            }
            local => Ok(local),
        }
    }

    /// What the user calls so, the system, or else the user's own directory.
    fn named(name: &str, book: &Book, env: &Env) -> Result<Self, CliError> {
        match book.remote.get(name) {
            Some(entry) => Remote::of_entry(entry).map(Self::Remote),
            None => Local::named(name, env).map(Self::Local),
        }
    }

    /// What a person would type to show that they mean this one.
    pub(crate) fn short_name(&self) -> String {
        match self {
            Self::Remote(remote) => remote.host.clone(),
            Self::Local(local) => local.short_name(),
        }
    }

    /// The instance, if it is on this host.
    ///
    /// # Errors
    /// Wrong use, for a remote instance: `what` (a whole clause) is done on the host only.
    pub(crate) fn local(&self, what: &str) -> Result<&Local, CliError> {
        match self {
            Self::Local(local) => Ok(local),
            Self::Remote(remote) => Err(CliError::usage(format!("{what} on the instance's own host only"))
                .because("the socket for this is never reachable over a network")
                .hint(format!("ssh {} merlon ...", remote.host))),
        }
    }
}

impl Local {
    fn directory(dir: &Path) -> Self {
        Self { paths: Paths::below(dir), owner: Owner::Directory(dir.to_owned()) }
    }

    fn hub() -> Self {
        Self { paths: Paths::hub(), owner: Owner::Hub }
    }

    fn short_name(&self) -> String {
        match &self.owner {
            Owner::System(name) => name.to_string(),
            Owner::Hub => "hub".to_owned(),
            Owner::Directory(dir) => {
                let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.clone());
                let name = absolute.file_name().map(|name| name.to_string_lossy().into_owned());
                name.unwrap_or_else(|| dir.display().to_string())
            }
        }
    }

    /// Is it a hub's? Nobody serves an instance's API there.
    pub(crate) fn is_hub(&self) -> bool {
        self.owner == Owner::Hub || self.paths.store.join("hub.db").exists()
    }

    /// The system's instance of this name if there is one, or else the user's.
    fn named(name: &str, env: &Env) -> Result<Self, CliError> {
        let name = parse_name(name)?;
        let system = Paths::system(&name);
        if [&system.config, &system.store, &system.run].into_iter().any(|path| path.exists()) {
            return Ok(Self { paths: system, owner: Owner::System(name) });
        }
        match &env.data_home {
            Some(home) => Ok(Self::directory(&home.join("merlon").join(name.as_str()))),
            None => Ok(Self { paths: system, owner: Owner::System(name) }),
        }
    }

    /// The command that starts this instance.
    pub(crate) fn start_command(&self) -> String {
        match &self.owner {
            Owner::System(name) => format!("sudo systemctl start merlond@{name}"),
            Owner::Hub => "sudo systemctl start merlon-hub".to_owned(),
            Owner::Directory(dir) => {
                let program = if self.is_hub() { "merlon-hub" } else { "merlond" };
                format!("{program} run --data-dir {}", quoted(&dir.display().to_string()))
            }
        }
    }

    /// A socket of this instance that nobody answers on.
    pub(crate) fn unreachable(&self, socket: &Path, error: &std::io::Error) -> CliError {
        use std::io::ErrorKind;
        let base = match &self.owner {
            Owner::Directory(dir) => dir.as_path(),
            // Data is there only after the first start.
            Owner::System(_) | Owner::Hub => self.paths.config.as_path(),
        };
        match error.kind() {
            ErrorKind::PermissionDenied => CliError::new(Exit::Refused, format!("{self} does not let you in"))
                .because(format!("{} cannot be opened: {error}", socket.display()))
                .hint(match self.owner {
                    Owner::System(_) => {
                        "run the command with sudo, or join the group `merlon` (keys and tokens need sudo)"
                    }
                    Owner::Hub => "run the command with sudo",
                    Owner::Directory(_) => "run the command as the user who started the instance",
                }),
            ErrorKind::NotFound if !base.exists() => CliError::new(Exit::Unreachable, format!("there is no {self}"))
                .because(format!("{} does not exist", base.display()))
                .hint(self.start_command()),
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
                let start = self.start_command();
                CliError::new(Exit::Unreachable, format!("{self} is not running"))
                    .because(format!("nobody answers on {}", socket.display()))
                    .hint(match self.owner {
                        Owner::System(_) => format!("{start}; why it is not: sudo merlon logs"),
                        Owner::Hub => format!("{start}; why it is not: sudo journalctl -u merlon-hub"),
                        Owner::Directory(_) => start,
                    })
            }
            _ => CliError::new(Exit::Unreachable, format!("{self} does not answer"))
                .because(format!("{}: {error}", socket.display()))
                .hint(self.start_command()),
        }
    }
}

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.owner {
            Owner::System(name) => write!(f, "instance `{name}`"),
            Owner::Hub => write!(f, "hub of this system"),
            Owner::Directory(dir) if self.is_hub() => write!(f, "hub in {}", dir.display()),
            Owner::Directory(dir) => write!(f, "instance in {}", dir.display()),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(local) => local.fmt(f),
            Self::Remote(remote) => remote.fmt(f),
        }
    }
}

fn parse_name(name: &str) -> Result<InstanceName, CliError> {
    name.parse().map_err(|why: String| {
        CliError::usage("the instance cannot be named so")
            .because(why)
            .hint("for an instance in a directory: --data-dir DIR")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn global() -> Global {
        Global::default()
    }

    #[test]
    fn flags_beat_the_environment() {
        let env = Env { data_dir: Some("/env".into()), ..Env::default() };
        let flags = Global { data_dir: Some("/flag".into()), ..global() };
        assert_eq!(Target::resolve(&flags, &env).unwrap(), Target::Local(Local::directory(Path::new("/flag"))));
        assert_eq!(Target::resolve(&global(), &env).unwrap(), Target::Local(Local::directory(Path::new("/env"))));
        let url = Global { url: Some("https://h:1".into()), ..global() };
        assert!(matches!(Target::resolve(&url, &env).unwrap(), Target::Remote(_)));
    }

    #[test]
    fn an_environment_that_contradicts_itself_is_wrong_use() {
        let env = Env { data_dir: Some("/a".into()), url: Some("https://h".into()), ..Env::default() };
        assert_eq!(Target::resolve(&global(), &env).unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn without_a_name_the_users_default_instance_is_meant() {
        let env = Env { data_home: Some("/nonexistent/share".into()), ..Env::default() };
        let Target::Local(local) =
            Target::resolve(&Global { instance: Some("x-lab".into()), ..global() }, &env).unwrap()
        else {
            panic!("remote")
        };
        assert_eq!(local.paths, Paths::below(Path::new("/nonexistent/share/merlon/x-lab")));
        for wrong in ["", "../x", "a/b", ".hidden", "a b"] {
            let named = Global { instance: Some(wrong.into()), ..global() };
            assert_eq!(Target::resolve(&named, &env).unwrap_err().exit, Exit::Usage, "{wrong}");
        }
    }

    #[test]
    fn hints_can_be_pasted() {
        assert_eq!(quoted("/srv/lab-1"), "/srv/lab-1");
        assert_eq!(quoted("/srv/my lab's"), r"'/srv/my lab'\''s'");
    }
}
