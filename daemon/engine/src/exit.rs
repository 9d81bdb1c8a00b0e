//! Exit codes of the daemons, with the numbers of sysexits(3). Units do not restart after 64 and 78.

use std::process::ExitCode;

/// Stopped as asked.
pub(crate) const OK: u8 = 0;
/// Wrong use.
pub(crate) const USAGE: u8 = 64;
/// Internal error.
pub(crate) const INTERNAL: u8 = 70;
/// Input or output failed.
pub(crate) const IO: u8 = 74;
/// Not permitted.
pub(crate) const NOT_PERMITTED: u8 = 77;
/// Configuration.
pub(crate) const CONFIG: u8 = 78;

/// The process's end.
pub(crate) fn with(code: u8) -> ExitCode {
    ExitCode::from(code)
}
