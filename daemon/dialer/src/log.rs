//! What the dialer says to its operator; [`journal`] says where it goes.
//!
//! Hosts that the engine asks for are never logged: they are part of the traffic.

use std::fmt::Arguments;

use merlon_sandbox::journal::{self, Priority};

/// Something the operator should look at.
pub(crate) fn warn(message: Arguments<'_>) {
    journal::write(Priority::Warning, message);
}

/// What made the program fail.
pub(crate) fn error(message: Arguments<'_>) {
    journal::write(Priority::Error, message);
}
