//! Standard error: for this program's own lines only.
//!
//! libtss2 and PKCS#11 modules print warnings about failures that are expected here (a key that is not there yet). From
//! [`Log::silence_libraries`] on they print to nowhere, whatever the environment says, and what matters of a failure is
//! in the answer. Nothing secret ever comes here.

use std::fmt::Arguments;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};

/// Where this program's own lines go.
pub(crate) struct Log {
    /// The standard error that the program was started with, once descriptor 2 leads nowhere.
    kept: Option<File>,
}

impl Log {
    /// Standard error as it is.
    pub(crate) fn stderr() -> Self {
        Self { kept: None }
    }

    /// Keeps standard error to this program.
    pub(crate) fn silence_libraries(&mut self) -> io::Result<()> {
        let kept = nix::unistd::dup(io::stderr())?;
        let nowhere = OpenOptions::new().write(true).open("/dev/null")?;
        nix::unistd::dup2_stderr(nowhere)?;
        self.kept = Some(kept.into());
        Ok(())
    }

    /// What made the program fail.
    pub(crate) fn error(&mut self, message: Arguments<'_>) {
        let text = format!("merlon-seal: ERROR {message}\n");
        // A closed stderr is nobody's fault.
        let _ = match &mut self.kept {
            Some(kept) => kept.write_all(text.as_bytes()),
            None => io::stderr().write_all(text.as_bytes()),
        };
    }
}
