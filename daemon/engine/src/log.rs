//! What the engine says to its operator: one line each on standard error, which systemd keeps in the journal. Never a
//! secret, never a byte of traffic.

use std::fmt;
use std::io::Write as _;

/// Something the operator should know.
pub(crate) fn warn(message: fmt::Arguments<'_>) {
    line("warning", message);
}

/// Something went as it should.
pub(crate) fn info(message: fmt::Arguments<'_>) {
    line("info", message);
}

/// Something failed.
pub(crate) fn error(message: fmt::Arguments<'_>) {
    line("error", message);
}

fn line(level: &str, message: fmt::Arguments<'_>) {
    // Control characters could come from an origin's words and must not reach a terminal.
    let text: String = message.to_string().chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect();
    // Nobody is left to be told if standard error is gone.
    drop(writeln!(std::io::stderr().lock(), "merlond: {level}: {text}"));
}
