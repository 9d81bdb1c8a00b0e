//! Lines for the operator, on standard error, where the service manager or the parent takes them up.
//!
//! Hosts that the engine asks for are never logged: they are part of the traffic.

use std::fmt::Arguments;
use std::io::Write as _;

/// Something the operator should look at.
pub(crate) fn warn(message: Arguments<'_>) {
    line("warning", message);
}

/// What made the program fail.
pub(crate) fn error(message: Arguments<'_>) {
    line("error", message);
}

fn line(level: &str, message: Arguments<'_>) {
    // A peer's words must not move a terminal's cursor.
    let text: String = message.to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    // Nobody is left to be told if standard error is gone.
    let _ = std::io::stderr().write_all(format!("merlon-dialer: {level}: {text}\n").as_bytes());
}
