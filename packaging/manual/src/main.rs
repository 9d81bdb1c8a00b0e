//! Makes the manual pages and the completions that packages carry, out of what the programs themselves say of their
//! command lines and of docs/configuration.md. `cargo run -p merlon-manual` writes them; a test says when they are stale.
//!
//! No program of the product links this.

mod configuration;
mod pages;
mod programs;
#[path = "../../../cli/src/quoting.rs"]
mod quoting;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Everything that is made, by its path below `packaging`.
type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Directories of `packaging` that hold nothing else.
const MADE: [&str; 4] = ["man", "completions/bash", "completions/zsh", "completions/fish"];

fn main() -> ExitCode {
    match pages::all().and_then(|files| write(&files)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error is all that there is; what cannot be printed cannot be told either.
            drop(io::Write::write_all(&mut io::stderr(), format!("merlon-manual: {error}\n").as_bytes()));
            ExitCode::FAILURE
        }
    }
}

fn packaging() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Replaces what is there, so that the page of a command that is no more goes too.
fn write(files: &Files) -> io::Result<()> {
    for directory in MADE {
        let directory = packaging().join(directory);
        if directory.exists() {
            fs::remove_dir_all(&directory)?;
        }
        fs::create_dir_all(&directory)?;
    }
    files.iter().try_for_each(|(path, bytes)| fs::write(packaging().join(path), bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_checked_in_is_what_the_programs_say() {
        let mut found = Files::new();
        for directory in MADE {
            for entry in fs::read_dir(packaging().join(directory)).unwrap() {
                let name = entry.unwrap().file_name();
                let path = Path::new(directory).join(name);
                found.insert(path.clone(), fs::read(packaging().join(path)).unwrap());
            }
        }
        let made = pages::all().unwrap();
        let names = |files: &Files| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&found), names(&made), "renew with: cargo run -p merlon-manual");
        for (path, bytes) in &made {
            assert!(&found[path] == bytes, "{} is stale; renew with: cargo run -p merlon-manual", path.display());
        }
    }
}
