//! `merlon-generator`: writes what the units of instances and of the hub need from their configurations. systemd runs it as root at each boot
//! and each `daemon-reload`, before any unit is loaded.
//!
//! This file wires: arguments, the configurations, the drop-ins, and telling what was refused. It opens nothing but the
//! configurations, writes nothing outside of the directory that systemd gives it, and an instance that cannot be used
//! never stands in the way of the others.

mod hub;
mod instance;
mod sources;
mod tell;
mod units;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use merlon_config::Paths;

use tell::Tell;
use units::{DropIn, Units};

/// The hub's configuration, beside the directory of the instances'.
const HUB: &str = "merlon-hub.toml";

const USAGE: u8 = 64;
const IO: u8 = 74;

const HELP: &str = "\
Writes the socket addresses of Merlon's instances and of its hub for systemd, from /etc/merlon/NAME.toml and
/etc/merlon-hub.toml

Usage: merlon-generator NORMAL [EARLY LATE] [CONFIGURATIONS]

systemd starts this program at boot and at `systemctl daemon-reload`; there is no reason to start it by hand but to see
what it writes: merlon-generator DIRECTORY

  NORMAL          where the drop-ins are written
  EARLY LATE      given by systemd, not used
  CONFIGURATIONS  instead of /etc/merlon; for tests. The hub's configuration lies beside it
";

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let mut tell = Tell::new();
    match arguments.first().and_then(|first| first.to_str()) {
        Some("--help" | "-h") => return print(HELP),
        Some("--version" | "-V") => return print(concat!("merlon-generator ", env!("CARGO_PKG_VERSION"), "\n")),
        _ => {}
    }
    let (normal, configurations) = match arguments.as_slice() {
        [normal] | [normal, _, _] => (normal, Path::new(Paths::SYSTEM_CONFIG)),
        [normal, _, _, configurations] => (normal, Path::new(configurations)),
        _ => {
            tell.line("wrong use; see merlon-generator --help");
            return ExitCode::from(USAGE);
        }
    };
    match generate(configurations, Path::new(normal), &mut tell) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            tell.line(&failed.to_string());
            ExitCode::from(IO)
        }
    }
}

/// A drop-in that could not be written. Nothing of this kind is expected, so the rest is not tried.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}; no further unit is written, run `systemctl daemon-reload` once that is mended", path = .path.display())]
struct NotWritten {
    path: PathBuf,
    source: io::Error,
}

fn generate(configurations: &Path, normal: &Path, tell: &mut Tell) -> Result<(), NotWritten> {
    let found = sources::find(configurations);
    for ignored in &found.ignored {
        tell.line(ignored);
    }
    for (name, path) in &found.instances {
        let text = match sources::read(path) {
            Ok(text) => text,
            Err(refused) => {
                tell.line(&format!("{refused}; instance {name} gets no TCP address and no proxy"));
                continue;
            }
        };
        put(&instance::units(name, &path.to_string_lossy(), &text), normal, tell)?;
    }
    let hub = configurations.with_file_name(HUB);
    // Not there: no hub is installed. A link that leads nowhere is told of.
    if hub.symlink_metadata().is_err() {
        return Ok(());
    }
    match sources::read(&hub) {
        Ok(text) => put(&hub::units(&hub.to_string_lossy(), &text), normal, tell),
        Err(refused) => {
            tell.line(&format!("{refused}; the hub gets no address"));
            Ok(())
        }
    }
}

fn put(units: &Units, normal: &Path, tell: &mut Tell) -> Result<(), NotWritten> {
    for refused in &units.refused {
        tell.line(refused);
    }
    for drop_in in &units.drop_ins {
        write(normal, drop_in).map_err(|source| NotWritten { path: normal.join(&drop_in.path), source })?;
    }
    Ok(())
}

fn write(normal: &Path, drop_in: &DropIn) -> io::Result<()> {
    use std::io::Write as _;
    let path = normal.join(&drop_in.path);
    if let Some(directory) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o755).create(directory)?;
    }
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&path)?;
    file.write_all(drop_in.text.as_bytes())
}

fn print(text: &str) -> ExitCode {
    use std::io::Write as _;
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(IO),
    }
}
