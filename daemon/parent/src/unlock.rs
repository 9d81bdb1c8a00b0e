//! Asks for a PIN or a passphrase when an instance is locked and somebody sits at a terminal.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use merlon_sandbox::secret::SecretBuf;
use merlon_sandbox::seqpacket;
use merlon_wire::admin::{Keyslot, MAX_PASSPHRASE, Request, Response, UnlockWith};
use merlon_wire::{Frame, MAX_FRAME};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

use crate::log;

/// Tells how to unlock; on a terminal, asks, on a thread of its own that ends with the process.
pub(crate) fn ask(admin_socket: &Path) {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        log::warn(format_args!("the instance is locked; run `merlon unlock` with the same --data-dir"));
        return;
    }
    let admin_socket: PathBuf = admin_socket.to_owned();
    let prompting = thread::Builder::new().name("unlock".to_owned()).spawn(move || {
        if let Err(error) = prompt(&admin_socket) {
            log::warn(format_args!("not unlocked: {error}; run `merlon unlock` with the same --data-dir"));
        }
    });
    if let Err(error) = prompting {
        log::warn(format_args!("nobody can be asked: {error}; run `merlon unlock`"));
    }
}

/// The terminal's settings while something secret is asked for.
static ECHOING: Mutex<Option<Termios>> = Mutex::new(None);

fn echoing() -> MutexGuard<'static, Option<Termios>> {
    ECHOING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives the terminal its echo back; to be called at the end too, because a prompt may be open then.
pub(crate) fn restore_terminal() {
    if let Some(before) = echoing().take()
        && let Err(error) = tcsetattr(io::stdin(), SetArg::TCSANOW, &before)
    {
        log::warn(format_args!("the terminal's echo could not be turned on again ({error}); run `stty echo`"));
    }
}

/// What somebody at the terminal can open the instance with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Pin,
    Passphrase,
}

impl Asked {
    /// A PIN, if a slot has one, else a passphrase. A recovery key is not for every day: `merlon unlock` asks for it.
    fn among(slots: &[Keyslot]) -> Option<Self> {
        if slots.iter().any(|slot| slot.pin) {
            Some(Self::Pin)
        } else {
            slots.iter().any(|slot| slot.kind == "passphrase").then_some(Self::Passphrase)
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Pin => "PIN",
            Self::Passphrase => "passphrase",
        }
    }

    fn prompt(self) -> &'static str {
        match self {
            Self::Pin => "PIN: ",
            Self::Passphrase => "Passphrase: ",
        }
    }

    fn unlock_with(self, typed: &[u8]) -> UnlockWith<'_> {
        match self {
            // The last try before a lockout is burnt by `merlon unlock --force` only.
            Self::Pin => UnlockWith::Pin { pin: typed, force: false },
            Self::Passphrase => UnlockWith::Passphrase(typed),
        }
    }
}

/// Three tries, like a login.
fn prompt(admin_socket: &Path) -> io::Result<()> {
    let slots = ask_keeper(admin_socket, Request::ListKeyslots, |response| match response {
        Response::Keyslots(slots) => Some(slots),
        _ => None,
    })?;
    let asked = Asked::among(&slots).ok_or_else(|| io::Error::other("no keyslot has a passphrase or a PIN"))?;
    for _ in 0..3 {
        let typed = read_line(asked)?;
        match unlock(admin_socket, asked.unlock_with(typed.as_slice()))? {
            None => {
                log::info(format_args!("unlocked"));
                return Ok(());
            }
            Some(refusal) => log::warn(format_args!("{refusal}")),
        }
    }
    Err(io::Error::other("three tries failed"))
}

/// One line from the terminal, echo off, into secret memory.
fn read_line(asked: Asked) -> io::Result<SecretBuf> {
    let stdin = io::stdin();
    write!(io::stderr(), "{}", asked.prompt())?;
    let before = tcgetattr(&stdin)?;
    let mut silent = before.clone();
    silent.local_flags.remove(LocalFlags::ECHO);
    *echoing() = Some(before);
    tcsetattr(&stdin, SetArg::TCSAFLUSH, &silent)?;
    let mut line = zeroize::Zeroizing::new(Vec::with_capacity(MAX_PASSPHRASE + 1));
    let read = stdin.lock().read_until(b'\n', &mut line);
    restore_terminal();
    writeln!(io::stderr())?;
    read?;
    let text = line.strip_suffix(b"\n").unwrap_or(&line);
    let mut typed = SecretBuf::with_capacity(MAX_PASSPHRASE + 1).map_err(io::Error::other)?;
    if text.is_empty() || text.len() > MAX_PASSPHRASE {
        return Err(io::Error::other(format!("no {} was given", asked.word())));
    }
    typed.set_len(text.len());
    typed.as_mut_slice().copy_from_slice(text);
    Ok(typed)
}

/// The refusal, if it is one, in the keeper's words.
fn unlock(admin_socket: &Path, with: UnlockWith<'_>) -> io::Result<Option<String>> {
    ask_keeper(admin_socket, Request::Unlock(with), |response| match response {
        Response::Keyslot(_) | Response::KeyslotWithNotes { .. } | Response::Done => Some(None),
        Response::Refused(refusal) => Some(Some(refusal.to_string())),
        _ => None,
    })
}

/// One question to the keeper; `take` picks the answer out, or nothing if it is one to another question.
fn ask_keeper<T>(
    admin_socket: &Path,
    request: Request<'_>,
    take: impl FnOnce(Response<'_>) -> Option<T>,
) -> io::Result<T> {
    let socket = seqpacket::connect(admin_socket)?;
    let mut buffer = SecretBuf::with_capacity(MAX_FRAME).map_err(io::Error::other)?;
    buffer.set_len(MAX_FRAME);
    let used = merlon_wire::encode(&Frame { id: 0, body: request }, buffer.as_mut_slice()).map_err(io::Error::other)?;
    seqpacket::send(&socket, &buffer.as_slice()[..used], None)?;
    let received = seqpacket::recv(&socket, buffer.as_mut_slice())?;
    let answer: Frame<Response<'_>> =
        merlon_wire::decode(&buffer.as_slice()[..received.len]).map_err(io::Error::other)?;
    take(answer.body).ok_or_else(|| io::Error::other("the keeper answered another question"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_what_the_instance_has() {
        let slot = |kind: &str, pin| Keyslot {
            id: 1,
            kind: kind.to_owned(),
            created_us: 0,
            confirmed: false,
            in_use: false,
            pin,
            detail: String::new(),
        };
        let passphrase = slot("passphrase", false);
        assert_eq!(Asked::among(&[slot("tpm2", true), passphrase.clone()]), Some(Asked::Pin));
        assert_eq!(Asked::among(&[slot("tpm2", false), passphrase]), Some(Asked::Passphrase));
        assert_eq!(Asked::among(&[slot("tpm2", false), slot("recovery", false)]), None);
    }
}
