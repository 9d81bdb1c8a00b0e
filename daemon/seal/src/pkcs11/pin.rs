//! Where the user PIN comes from.
//!
//! Owned here: the order of the places, and that a PIN is in secret memory from the file on. It is read before the
//! sandbox begins, so that the vendor's module cannot open the file.

use std::path::{Path, PathBuf};

use merlon_sandbox::files;
use merlon_sandbox::secret::SecretBuf;
use merlon_wire::seal::Failure;

/// Longer than any token's PIN.
const MAX: usize = 1024;
/// The credential's name for systemd.
const CREDENTIAL: &str = "pkcs11-pin";

/// The PIN of the request, else of the file that the configuration names, else of systemd's credential; `None` if there
/// is none at all. A place that is named and cannot be read is an error: the next one could hold another PIN, which
/// would cost a try.
pub(crate) fn find(given: Option<&[u8]>, file: Option<&Path>) -> Result<Option<SecretBuf>, Failure> {
    if let Some(pin) = given.filter(|pin| !pin.is_empty()) {
        return SecretBuf::from_slice(pin).map(Some).map_err(|error| Failure::PinSource(error.to_string()));
    }
    match file {
        Some(file) => read(file).map(Some),
        None => credential().map(|file| read(&file)).transpose(),
    }
}

fn credential() -> Option<PathBuf> {
    let file = PathBuf::from(std::env::var_os("CREDENTIALS_DIRECTORY")?).join(CREDENTIAL);
    file.exists().then_some(file)
}

fn read(file: &Path) -> Result<SecretBuf, Failure> {
    let failed = |what: &dyn std::fmt::Display| Failure::PinSource(what.to_string());
    let mut pin = SecretBuf::with_capacity(MAX).map_err(|error| failed(&error))?;
    let len = files::read_entrusted_into(file, pin.as_full_mut_slice()).map_err(|error| failed(&error))?;
    pin.set_len(len);
    pin.set_len(without_line_end(pin.as_slice()).len());
    if pin.is_empty() {
        return Err(failed(&format_args!("{} is empty", file.display())));
    }
    Ok(pin)
}

/// Editors end a file with a line end, which is no part of a PIN.
fn without_line_end(pin: &[u8]) -> &[u8] {
    pin.strip_suffix(b"\r\n").or_else(|| pin.strip_suffix(b"\n")).unwrap_or(pin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_does_not_count() {
        for (file, pin) in
            [("1234", "1234"), ("1234\n", "1234"), ("1234\r\n", "1234"), ("12 \n\n", "12 \n"), ("\n", "")]
        {
            assert_eq!(without_line_end(file.as_bytes()), pin.as_bytes(), "{file:?}");
        }
    }

    #[test]
    fn a_pin_that_is_given_beats_the_file() {
        let missing = Path::new("/nonexistent/pin");
        assert_eq!(find(Some(b"12"), Some(missing)).unwrap().unwrap().as_slice(), b"12");
        for none in [None, Some(&b""[..])] {
            let Err(error) = find(none, Some(missing)) else { panic!("there is no such file") };
            assert!(error.to_string().contains("/nonexistent/pin cannot be read"), "{error}");
        }
    }
}
