//! Where the generator's words go: standard error, and the kernel's log when systemd started it.
//!
//! systemd gives a generator no standard error, and nothing that logs may run yet when it starts; the kernel's log
//! always takes a line, and journald keeps it. Values in a line come from files, so control characters are made visible.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};

/// Takes lines, each a whole message.
pub(crate) struct Tell {
    kernel: Option<File>,
}

impl Tell {
    /// systemd says in `SYSTEMD_SCOPE` that it started this generator (from systemd 251 on).
    pub(crate) fn new() -> Self {
        let kernel =
            std::env::var_os("SYSTEMD_SCOPE").and_then(|_| OpenOptions::new().write(true).open("/dev/kmsg").ok());
        Self { kernel }
    }

    /// One message. Without anybody to read it, it is lost: a generator has no other way.
    pub(crate) fn line(&mut self, message: &str) {
        for line in message.lines().filter(|line| !line.trim().is_empty()) {
            let line = visible(line);
            let _ = writeln!(io::stderr(), "merlon-generator: {line}");
            if let Some(kernel) = &mut self.kernel {
                // One record for one write. <28>: a warning of a daemon.
                let _ = kernel.write_all(format!("<28>merlon-generator[{}]: {line}\n", std::process::id()).as_bytes());
            }
        }
    }
}

/// No control character, and no more than a record of the kernel's log takes.
fn visible(line: &str) -> String {
    const MOST: usize = 900;
    let mut shown = String::new();
    for c in line.chars() {
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
        if shown.len() > MOST {
            shown.push('…');
            break;
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_no_control_characters_and_an_end() {
        assert_eq!(visible("a\x1b[31mé\r"), "a\\u{1b}[31mé\\r");
        assert!(visible(&"ü".repeat(5000)).len() < 1000);
    }
}
