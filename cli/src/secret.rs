//! Passphrases, recovery keys and tokens on their way in: from a file, or typed at a terminal without an echo.
//!
//! Never from an argument or the environment. Bytes go straight into secret memory. Nothing is asked where there is no
//! terminal.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use hyper::header::HeaderValue;
use merlon_sandbox::secret::SecretBuf;
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};

use crate::error::CliError;
use crate::output::Printer;

/// The longest secret that is read: as long as the longest passphrase.
const MAX_SECRET: usize = merlon_wire::admin::MAX_PASSPHRASE;
/// A line at the terminal: one secret and its end.
const MAX_LINE: usize = MAX_SECRET + 1;
const CTRL_C: u8 = 3;

/// An empty buffer in secret memory.
///
/// # Errors
/// The system gives none.
pub(crate) fn buffer(capacity: usize) -> Result<SecretBuf, CliError> {
    SecretBuf::with_capacity(capacity).map_err(|e| CliError::failed("there is no memory for secrets").because(e))
}

/// The content of a file without one line end at its end. `what` names it in messages ("passphrase").
///
/// # Errors
/// The file cannot be read, is empty, or holds more than one secret can be.
pub(crate) fn from_file(path: &Path, what: &str, printer: &Printer) -> Result<SecretBuf, CliError> {
    let failed =
        |why: String| CliError::failed(format!("the {what} cannot be read from {}", path.display())).because(why);
    let mut file = File::open(path).map_err(|e| failed(e.to_string()))?;
    let metadata = file.metadata().map_err(|e| failed(e.to_string()))?;
    let mode = metadata.permissions().mode();
    if metadata.is_file() && mode & 0o077 != 0 {
        printer.warn(&format!(
            "{} can be read by others (mode {:04o}); chmod 600 {}",
            path.display(),
            mode & 0o7777,
            crate::target::quoted(&path.display().to_string())
        ));
    }
    // Two bytes more than a secret: its line end, CR LF at the longest; and one more shows that it is too long.
    let mut secret = buffer(MAX_SECRET + 3)?;
    let mut len = 0;
    loop {
        match file.read(&mut secret.as_full_mut_slice()[len..]) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(failed(e.to_string())),
        }
    }
    secret.set_len(len);
    let trimmed = without_line_end(secret.as_slice()).len();
    secret.set_len(trimmed);
    match trimmed {
        0 => Err(failed("the file is empty".to_owned())),
        1..=MAX_SECRET => Ok(secret),
        _ => Err(failed(format!("it is longer than {MAX_SECRET} bytes"))),
    }
}

/// The access token in a file, as the value of the `Authorization` header.
///
/// # Errors
/// As [`from_file`], or the file holds something else than one token.
pub(crate) fn token(path: &Path, printer: &Printer) -> Result<HeaderValue, CliError> {
    let token = from_file(path, "access token", printer)?;
    if !token.as_slice().iter().all(u8::is_ascii_graphic) {
        return Err(CliError::failed(format!("{} holds no access token", path.display()))
            .because("a token is one word of letters, digits and signs")
            .hint("merlon token create --role viewer, on the instance's host, prints one"));
    }
    let mut header = [b"Bearer ", token.as_slice()].concat();
    let value = HeaderValue::from_bytes(&header).map_err(|e| CliError::failed("the token cannot be sent").because(e));
    zeroize::Zeroize::zeroize(&mut header);
    value.map(|mut value| {
        value.set_sensitive(true);
        value
    })
}

/// Can somebody be asked?
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// One line typed at the terminal; a passphrase is not shown, a name or a recovery key (that stands on the screen
/// anyway) is. `instead` says what to do where there is no terminal.
///
/// # Errors
/// There is no terminal (wrong use), nothing was typed, or Ctrl-C.
pub(crate) fn ask(prompt: &str, echo: bool, instead: &str, printer: &mut Printer) -> Result<SecretBuf, CliError> {
    if !can_ask() {
        return Err(CliError::usage("something must be typed, and there is no terminal to type at").hint(instead));
    }
    // The mode first: it forgets what was typed before, and whoever sees the prompt may type at once.
    let _mode = Asking::new(echo)?;
    printer.prompt(prompt)?;
    read_line()
}

fn read_line() -> Result<SecretBuf, CliError> {
    let mut line = buffer(MAX_LINE)?;
    let len = loop {
        match nix::unistd::read(io::stdin().as_fd(), line.as_full_mut_slice()) {
            Ok(len) => break len,
            Err(nix::errno::Errno::EINTR) => {}
            Err(e) => return Err(CliError::failed("the terminal cannot be read").because(e)),
        }
    };
    line.set_len(len);
    if line.as_slice().contains(&CTRL_C) {
        return Err(CliError::interrupted());
    }
    let trimmed = without_line_end(line.as_slice()).len();
    if trimmed == 0 {
        return Err(CliError::failed("nothing was typed"));
    }
    if trimmed == len && len == MAX_LINE {
        return Err(CliError::failed(format!("a secret has at most {MAX_SECRET} bytes")));
    }
    line.set_len(trimmed);
    Ok(line)
}

fn without_line_end(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

/// The terminal while somebody is asked: Ctrl-C is a character that ends the line, so that the terminal is always put
/// back as it was.
struct Asking(Termios);

impl Asking {
    fn new(echo: bool) -> Result<Self, CliError> {
        let failed = |e| CliError::failed("the terminal cannot be set up for a question").because(e);
        let before = tcgetattr(io::stdin()).map_err(failed)?;
        let mut asking = before.clone();
        asking.local_flags.remove(LocalFlags::ISIG);
        asking.local_flags.insert(LocalFlags::ICANON | LocalFlags::ECHONL);
        asking.local_flags.set(LocalFlags::ECHO, echo);
        asking.control_chars[SpecialCharacterIndices::VEOL as usize] = CTRL_C;
        tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &asking).map_err(failed)?;
        Ok(Self(before))
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_does_not_count_and_no_more_is_cut() {
        for (typed, kept) in [("a", "a"), ("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), (" a ", " a "), ("\n", "")] {
            assert_eq!(without_line_end(typed.as_bytes()), kept.as_bytes(), "{typed:?}");
        }
    }
}
