//! Exit codes of the daemons, with the numbers of sysexits(3). Units do not restart after 64 and 78.

use std::process::ExitCode;

/// Stopped as asked.
pub const OK: u8 = 0;
/// Wrong use.
pub const USAGE: u8 = 64;
/// Internal error.
pub const INTERNAL: u8 = 70;
/// Input or output failed.
pub const IO: u8 = 74;
/// Not permitted.
pub const NOT_PERMITTED: u8 = 77;
/// Configuration.
pub const CONFIG: u8 = 78;

/// The process's end.
#[must_use]
pub fn with(code: u8) -> ExitCode {
    ExitCode::from(code)
}
