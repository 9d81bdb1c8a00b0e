//! What the keeper says to its operator; [`journal`] says where it goes. Nothing secret ever comes here: callers hand in
//! ids, names and error messages, and errors carry no secrets.

use std::fmt::Arguments;

use merlon_sandbox::journal::{self, Priority};

/// What an operator may want to know.
pub(crate) fn info(message: Arguments<'_>) {
    journal::write(Priority::Info, message);
}

/// What an operator should look at.
pub(crate) fn warn(message: Arguments<'_>) {
    journal::write(Priority::Warning, message);
}

/// What made a request or the program fail.
pub(crate) fn error(message: Arguments<'_>) {
    journal::write(Priority::Error, message);
}
