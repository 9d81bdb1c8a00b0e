//! Log lines on stderr, where the parent or the journal reads them. Nothing secret ever comes here: callers hand in
//! ids, names and error messages, and errors carry no secrets.

use std::fmt::Arguments;
use std::io::Write as _;

/// What an operator may want to know.
pub(crate) fn info(message: Arguments<'_>) {
    line("INFO", message);
}

/// What an operator should look at.
pub(crate) fn warn(message: Arguments<'_>) {
    line("WARN", message);
}

/// What made a request or the program fail.
pub(crate) fn error(message: Arguments<'_>) {
    line("ERROR", message);
}

fn line(level: &str, message: Arguments<'_>) {
    // One write per line, so that lines of several threads do not mix; a closed stderr is nobody's fault.
    let text = format!("merlon-keeper: {level} {message}\n");
    let _ = std::io::stderr().write_all(text.as_bytes());
}
