//! What this program says to its operator; [`journal`] says where it goes. Nothing secret ever comes here.

use std::fmt::Arguments;
use std::io;

use merlon_sandbox::journal::{self, Priority};

/// Keeps standard error to this program's own lines. libtss2 and PKCS#11 modules print warnings about failures that are
/// expected here (a key that is not there yet); what matters of a failure is in the answer.
pub(crate) fn silence_libraries() -> io::Result<()> {
    journal::keep_stderr()
}

/// What made the program fail.
pub(crate) fn error(message: Arguments<'_>) {
    journal::write(Priority::Error, message);
}
