//! What a program says to its operator; [`journal`] says where it goes. Never a secret, never a byte of traffic.

use std::fmt::Arguments;

use merlon_sandbox::journal::{self, Priority};

/// Something went as it should.
pub fn info(message: Arguments<'_>) {
    journal::write(Priority::Info, message);
}

/// Something the operator should know.
pub fn warn(message: Arguments<'_>) {
    journal::write(Priority::Warning, message);
}

/// Something failed.
pub fn error(message: Arguments<'_>) {
    journal::write(Priority::Error, message);
}
