//! Descriptors that this process was started with, by name.
//!
//! Owned here: taking them over from the parent (`--fd NAME=N`) or from systemd (`LISTEN_FDS`), checking that they are
//! sockets, and closing what nobody named. What a name means is the caller's.
#![expect(unsafe_code, reason = "an inherited descriptor is a bare number until we own it")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::sockopt::{AcceptConn, SockType as SockTypeOption};
use nix::sys::socket::{SockType, getsockopt};

use crate::process;

const FIRST_OF_SYSTEMD: RawFd = 3;

/// Why the inherited descriptors cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InheritError {
    /// An argument is not `NAME=N`.
    #[error("`--fd {argument}` is not NAME=NUMBER; only merlond gives this argument")]
    Malformed {
        /// The argument.
        argument: String,
    },
    /// Two names for one number.
    #[error("descriptor {number} was handed over twice")]
    Twice {
        /// The number.
        number: RawFd,
    },
    /// It is no open socket.
    #[error("descriptor {number}, handed over as `{name}`, is no open socket: {source}")]
    NoSocket {
        /// Its name.
        name: String,
        /// Its number.
        number: RawFd,
        /// What the kernel said.
        source: io::Error,
    },
    /// It is a socket of a kind that no Merlon process takes.
    #[error("descriptor {number}, handed over as `{name}`, is neither a stream nor a SOCK_SEQPACKET socket")]
    WrongKind {
        /// Its name.
        name: String,
        /// Its number.
        number: RawFd,
    },
    /// A descriptor this process cannot do without was not handed over.
    #[error("no descriptor was handed over as `{name}`: this program is started by merlond or by its systemd units")]
    Missing {
        /// The name asked for.
        name: String,
    },
    /// More than one where there can be one only.
    #[error(
        "{count} descriptors were handed over as `{name}`, where one is expected: look at FileDescriptorName= in the socket units"
    )]
    TooMany {
        /// The name asked for.
        name: String,
        /// How many there are.
        count: usize,
    },
    /// `LISTEN_FDS` and its companions contradict each other.
    #[error("LISTEN_FDS={fds} does not go with LISTEN_FDNAMES={names}")]
    Environment {
        /// The number, as it stands there.
        fds: String,
        /// The names, as they stand there.
        names: String,
    },
    /// What was not handed over could not be closed.
    #[error("the inherited descriptors cannot be listed: {0}")]
    List(io::Error),
}

/// The descriptors handed over to this process. Those that nobody takes are closed when this is dropped.
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: Vec<(String, OwnedFd)>,
}

impl Inherited {
    /// Takes over the descriptors of the `--fd` arguments (each `NAME=N`) and those of systemd, marks them
    /// close-on-exec, and closes whatever else was inherited from 3 on. To be called once, early in `main`.
    ///
    /// # Errors
    /// [`InheritError`]; the process has no use for what it got then and ends.
    pub fn take(fd_args: &[String]) -> Result<Self, InheritError> {
        let mut named = fd_args.iter().map(|argument| parse(argument)).collect::<Result<Vec<_>, _>>()?;
        named.extend(from_systemd()?);
        let mut sockets: Vec<(String, OwnedFd)> = Vec::with_capacity(named.len());
        for (name, number) in named {
            if sockets.iter().any(|(_, taken)| taken.as_raw_fd() == number) {
                return Err(InheritError::Twice { number });
            }
            let socket = adopt(&name, number)?;
            sockets.push((name, socket));
        }
        let keep: Vec<RawFd> = sockets.iter().map(|(_, socket)| socket.as_raw_fd()).collect();
        process::close_inherited_except(&keep).map_err(InheritError::List)?;
        Ok(Self { sockets })
    }

    /// The one descriptor of this name.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn one(&mut self, name: &str) -> Result<OwnedFd, InheritError> {
        self.optional(name)?.ok_or_else(|| InheritError::Missing { name: name.to_owned() })
    }

    /// The one descriptor of this name, if there is one.
    ///
    /// # Errors
    /// There is more than one.
    pub fn optional(&mut self, name: &str) -> Result<Option<OwnedFd>, InheritError> {
        let mut found = self.all(name);
        match found.len() {
            0 | 1 => Ok(found.pop()),
            count => Err(InheritError::TooMany { name: name.to_owned(), count }),
        }
    }

    /// All descriptors of this name, in the order they were handed over.
    pub fn all(&mut self, name: &str) -> Vec<OwnedFd> {
        self.sockets.extract_if(.., |(given, _)| given == name).map(|(_, socket)| socket).collect()
    }
}

/// Is this descriptor a listening socket?
#[must_use]
pub fn is_listening(socket: impl std::os::fd::AsFd) -> bool {
    getsockopt(&socket.as_fd(), AcceptConn).unwrap_or(false)
}

fn parse(argument: &str) -> Result<(String, RawFd), InheritError> {
    argument
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .and_then(|(name, number)| Some((name.to_owned(), number.parse().ok().filter(|number| *number >= 3)?)))
        .ok_or_else(|| InheritError::Malformed { argument: argument.to_owned() })
}

/// The listening sockets of the unit. `LISTEN_PID` says for whom they are: a child inherits the variables as well.
fn from_systemd() -> Result<Vec<(String, RawFd)>, InheritError> {
    let variable = |name| std::env::var(name).unwrap_or_default();
    if variable("LISTEN_PID") != std::process::id().to_string() {
        return Ok(Vec::new());
    }
    name_systemds(&variable("LISTEN_FDS"), &variable("LISTEN_FDNAMES"))
}

fn name_systemds(fds: &str, names: &str) -> Result<Vec<(String, RawFd)>, InheritError> {
    let names_list: Vec<&str> = names.split(':').collect();
    match fds.parse::<RawFd>() {
        Ok(0) => Ok(Vec::new()),
        Ok(count) if usize::try_from(count).is_ok_and(|count| count == names_list.len()) => {
            Ok(names_list.into_iter().map(str::to_owned).zip(FIRST_OF_SYSTEMD..).collect())
        }
        _ => Err(InheritError::Environment { fds: fds.to_owned(), names: names.to_owned() }),
    }
}

fn adopt(name: &str, number: RawFd) -> Result<OwnedFd, InheritError> {
    let no_socket = |errno: Errno| InheritError::NoSocket { name: name.to_owned(), number, source: errno.into() };
    // SAFETY: borrowed for two questions only; a number that is not open is answered by EBADF.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    let kind = getsockopt(&borrowed, SockTypeOption).map_err(no_socket)?;
    if !matches!(kind, SockType::Stream | SockType::SeqPacket) {
        return Err(InheritError::WrongKind { name: name.to_owned(), number });
    }
    let flags = FdFlag::from_bits_retain(fcntl(borrowed, FcntlArg::F_GETFD).map_err(no_socket)?);
    if flags.contains(FdFlag::FD_CLOEXEC) {
        // It would not have survived the exec: this process opened it itself, and something in it owns it.
        return Err(no_socket(Errno::EBADF));
    }
    fcntl(borrowed, FcntlArg::F_SETFD(flags | FdFlag::FD_CLOEXEC)).map_err(no_socket)?;
    // SAFETY: it is open and was without CLOEXEC, so it came from whoever started us and nothing in this process owns
    // it; from now on it has CLOEXEC, so that it cannot be adopted a second time.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_is_a_name_and_a_number_from_3_on() {
        assert_eq!(parse("proxy=7").unwrap(), ("proxy".to_owned(), 7));
        for bad in ["proxy", "=7", "proxy=", "proxy=x", "proxy=-1", "proxy=2", "proxy=99999999999"] {
            assert!(matches!(parse(bad), Err(InheritError::Malformed { .. })), "{bad}");
        }
    }

    #[test]
    fn names_of_systemd_go_with_its_numbers() {
        let named = name_systemds("3", "proxy:proxy:api").unwrap();
        assert_eq!(named, [("proxy".to_owned(), 3), ("proxy".to_owned(), 4), ("api".to_owned(), 5)]);
        assert_eq!(name_systemds("0", "").unwrap(), []);
        for (fds, names) in [("2", "proxy"), ("", "proxy"), ("-1", ""), ("1", "a:b"), ("x", "a")] {
            assert!(matches!(name_systemds(fds, names), Err(InheritError::Environment { .. })), "{fds} {names}");
        }
    }

    #[test]
    fn a_descriptor_of_our_own_is_not_adopted() {
        let (own, _peer) = crate::seqpacket::pair().unwrap();
        let argument = format!("link={}", own.as_raw_fd());
        assert!(matches!(Inherited::take(&[argument]), Err(InheritError::NoSocket { .. })));
        assert!(matches!(Inherited::take(&["link=1023".to_owned()]), Err(InheritError::NoSocket { .. })));
    }
}
