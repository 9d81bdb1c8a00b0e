//! `merlon-hub setup-code`: shows the code for the first account to whoever may read the hub's directory.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use merlon_parent::{exit, log};

use crate::accounts::setup::FILE;
use crate::command_line::SetupCode;

/// Prints the code, or why there is none.
pub(crate) fn run(args: &SetupCode) -> ExitCode {
    match read(&args.data_dir) {
        Ok(Some(code)) => match writeln!(io::stdout(), "{}", code.trim_end()) {
            Ok(()) => exit::with(exit::OK),
            Err(_) => exit::with(exit::IO),
        },
        Ok(None) => {
            log::error(format_args!(
                "there is no setup code in {}: either the first account was made already, or the hub has not run yet",
                args.data_dir.display()
            ));
            exit::with(exit::USAGE)
        }
        Err(error) => {
            log::error(format_args!("{}: {error}; run this as root or as the hub's user", args.data_dir.display()));
            exit::with(if error.kind() == io::ErrorKind::PermissionDenied { exit::NOT_PERMITTED } else { exit::IO })
        }
    }
}

/// From the directory of a `merlon-hub run`, or of the database itself, as the system's hub has it.
fn read(data_dir: &Path) -> io::Result<Option<String>> {
    for file in [data_dir.join("store").join(FILE), data_dir.join(FILE)] {
        match std::fs::read_to_string(&file) {
            Ok(code) => return Ok(Some(code)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}
