//! Asks for a passphrase when an instance is locked and somebody sits at a terminal.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use merlon_sandbox::secret::SecretBuf;
use merlon_sandbox::seqpacket;
use merlon_wire::admin::{MAX_PASSPHRASE, Request, Response, UnlockWith};
use merlon_wire::{Frame, MAX_FRAME};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

use crate::log;

/// Tells how to unlock; on a terminal, asks, on a thread of its own that ends with the process.
pub(super) fn ask(admin_socket: &Path) {
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
        log::warn(format_args!("cannot ask for the passphrase: {error}; run `merlon unlock`"));
    }
}

/// The terminal's settings while a passphrase is asked for.
static ECHOING: Mutex<Option<Termios>> = Mutex::new(None);

fn echoing() -> MutexGuard<'static, Option<Termios>> {
    ECHOING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives the terminal its echo back; to be called at the end too, because a prompt may be open then.
pub(super) fn restore_terminal() {
    if let Some(before) = echoing().take()
        && let Err(error) = tcsetattr(io::stdin(), SetArg::TCSANOW, &before)
    {
        log::warn(format_args!("the terminal's echo could not be turned on again ({error}); run `stty echo`"));
    }
}

/// Three tries, like a login.
fn prompt(admin_socket: &Path) -> io::Result<()> {
    for _ in 0..3 {
        let passphrase = read_passphrase()?;
        match unlock(admin_socket, &passphrase)? {
            None => {
                log::info(format_args!("unlocked"));
                return Ok(());
            }
            Some(refusal) => log::warn(format_args!("{refusal}")),
        }
    }
    Err(io::Error::other("three wrong passphrases"))
}

/// One line from the terminal, echo off, into secret memory.
fn read_passphrase() -> io::Result<SecretBuf> {
    let stdin = io::stdin();
    write!(io::stderr(), "Passphrase: ")?;
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
    let mut passphrase = SecretBuf::with_capacity(MAX_PASSPHRASE + 1).map_err(io::Error::other)?;
    if text.is_empty() || text.len() > MAX_PASSPHRASE {
        return Err(io::Error::other("no passphrase was given"));
    }
    passphrase.set_len(text.len());
    passphrase.as_mut_slice().copy_from_slice(text);
    Ok(passphrase)
}

/// Asks the keeper; the refusal, if it is one, in its words.
fn unlock(admin_socket: &Path, passphrase: &SecretBuf) -> io::Result<Option<String>> {
    let socket = seqpacket::connect(admin_socket)?;
    let mut buffer = SecretBuf::with_capacity(MAX_FRAME).map_err(io::Error::other)?;
    buffer.set_len(MAX_FRAME);
    let request = Frame { id: 0, body: Request::Unlock(UnlockWith::Passphrase(passphrase.as_slice())) };
    let used = merlon_wire::encode(&request, buffer.as_mut_slice()).map_err(io::Error::other)?;
    seqpacket::send(&socket, &buffer.as_slice()[..used], None)?;
    let received = seqpacket::recv(&socket, buffer.as_mut_slice())?;
    let answer: Frame<Response<'_>> =
        merlon_wire::decode(&buffer.as_slice()[..received.len]).map_err(io::Error::other)?;
    match answer.body {
        Response::Keyslot(_) | Response::Done => Ok(None),
        Response::Refused(refusal) => Ok(Some(refusal.to_string())),
        _ => Err(io::Error::other("the keeper answered another question")),
    }
}
