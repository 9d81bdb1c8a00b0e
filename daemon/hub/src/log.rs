//! What the hub says to its operator; [`journal`] says where it goes. Never a secret, never an address of a person.

use std::fmt::Arguments;

use merlon_sandbox::journal::{self, Priority};

/// Something went as it should.
pub(crate) fn info(message: Arguments<'_>) {
    journal::write(Priority::Info, message);
}

/// Something the operator should know.
pub(crate) fn warn(message: Arguments<'_>) {
    journal::write(Priority::Warning, message);
}

/// Something failed.
pub(crate) fn error(message: Arguments<'_>) {
    journal::write(Priority::Error, message);
}
