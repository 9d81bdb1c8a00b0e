//! Reads what an instance's services logged, from the system's journal by libsystemd.
//!
//! Owns the choice of entries and their translation; prints nothing. Units are matched by the journal's own trusted
//! field, never by what a message says of itself. One entry is in memory at a time, and of it what is shown.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;

use merlon_api::Timestamp;
use merlon_config::InstanceName;
use serde::Serialize;
use systemd::journal::{Journal, OpenOptions};

use crate::args::Daemon;
use crate::error::{CliError, Exit};

/// Where journald keeps journals: those that stay, and those until the next boot.
const DIRECTORIES: [&str; 2] = ["/var/log/journal", "/run/log/journal"];
/// The most bytes of one field. What is longer may be cut by libsystemd.
const MAX_FIELD: usize = 64 << 10;
/// systemd's own process, which tells what happened to a unit.
const MANAGER: &str = "1";

/// As in syslog; less is worse.
const WARNING: u8 = 4;

/// One entry of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Entry {
    /// When journald got it.
    pub(crate) time: Timestamp,
    /// `engine`, `keeper`, `dialer`, `seal`, or `systemd` for what the service manager says of a unit.
    pub(crate) process: String,
    pub(crate) unit: String,
    pub(crate) pid: Option<u32>,
    /// As in syslog: 0 (emergency) to 7 (debug).
    pub(crate) priority: u8,
    pub(crate) message: String,
    /// Name of the security event, if it is one.
    pub(crate) event: Option<String>,
    pub(crate) message_id: Option<String>,
}

/// Which entries.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) instance: InstanceName,
    /// None for all.
    pub(crate) daemon: Option<Daemon>,
    pub(crate) events: bool,
    /// Microseconds since 1970.
    pub(crate) since: Option<u64>,
    /// The last so many; none for all.
    pub(crate) last: Option<u64>,
    pub(crate) follow: bool,
}

/// Hands every wanted entry over, the oldest first, until there is none left; with `follow`, until `take` wants no more.
///
/// # Errors
/// This user may not read the system's journal, there is none, or reading it fails.
pub(crate) fn read(wanted: &Wanted, mut take: impl FnMut(Entry) -> bool) -> Result<(), CliError> {
    may_read()?;
    let failed = |e: systemd::Error| CliError::failed("the journal cannot be read").because(e);
    let mut journal = OpenOptions::default().system(true).local_only(true).open().map_err(failed)?;
    journal.set_data_threshold(MAX_FIELD).map_err(failed)?;
    choose(&mut journal, wanted).map_err(failed)?;
    let mut more = go_to_first(&mut journal, wanted).map_err(failed)?;
    loop {
        while more {
            if let Some(entry) = entry(&mut journal, wanted).map_err(failed)?
                && !take(entry)
            {
                return Ok(());
            }
            more = journal.next().map_err(failed)? > 0;
        }
        if !wanted.follow {
            return Ok(());
        }
        journal.wait(None).map_err(failed)?;
        more = journal.next().map_err(failed)? > 0;
    }
}

/// Entries of the services, and what the manager says of them. Of sockets, and of seal, which comes and goes with each
/// operation, it is only heard where something went wrong.
fn choose(journal: &mut Journal, wanted: &Wanted) -> systemd::Result<()> {
    let name = &wanted.instance;
    let daemons = wanted.daemon.map_or(Daemon::ALL.to_vec(), |daemon| vec![daemon]);
    for daemon in &daemons {
        journal.match_add("_SYSTEMD_UNIT", daemon.service(name))?;
    }
    let quiet = |daemon: &&Daemon| **daemon == Daemon::Seal && wanted.daemon.is_none();
    journal.match_or()?;
    journal.match_add("_PID", MANAGER)?;
    for daemon in daemons.iter().filter(|daemon| !quiet(daemon)) {
        journal.match_add("UNIT", daemon.service(name))?;
    }
    if wanted.daemon.is_some() {
        return Ok(());
    }
    journal.match_or()?;
    journal.match_add("_PID", MANAGER)?;
    for daemon in daemons.iter().filter(quiet) {
        journal.match_add("UNIT", daemon.service(name))?;
    }
    for socket in crate::units::SOCKETS {
        journal.match_add("UNIT", format!("{socket}@{name}.socket"))?;
    }
    for priority in 0..=WARNING {
        journal.match_add("PRIORITY", priority.to_string())?;
    }
    Ok(())
}

/// Stands on the first entry, if there is one.
fn go_to_first(journal: &mut Journal, wanted: &Wanted) -> systemd::Result<bool> {
    let Some(last) = wanted.last else {
        match wanted.since {
            Some(since) => journal.seek_realtime_usec(since)?,
            None => journal.seek_head()?,
        }
        return Ok(journal.next()? > 0);
    };
    // Backwards over as many as are wanted.
    journal.seek_tail()?;
    let mut found = 0;
    while journal.previous()? > 0 {
        if wanted.since.is_some_and(|since| journal.timestamp_usec().is_ok_and(|time| time < since)) {
            return Ok(journal.next()? > 0);
        }
        if entry(journal, wanted)?.is_some() {
            found += 1;
        }
        if found == last {
            return Ok(true);
        }
    }
    journal.seek_head()?;
    Ok(journal.next()? > 0)
}

/// The entry at which the journal stands; none if it is no event and only those are wanted.
fn entry(journal: &mut Journal, wanted: &Wanted) -> systemd::Result<Option<Entry>> {
    let event = field(journal, "MERLON_EVENT")?;
    if wanted.events && event.is_none() {
        return Ok(None);
    }
    let unit = match field(journal, "UNIT")? {
        // Only the manager's entries were matched by this field.
        Some(unit) if field(journal, "_PID")?.as_deref() == Some(MANAGER) => Some((unit, "systemd".to_owned())),
        _ => None,
    };
    let (unit, process) = match unit {
        Some(both) => both,
        None => {
            let unit = field(journal, "_SYSTEMD_UNIT")?.unwrap_or_default();
            let process = Daemon::ALL.into_iter().find(|daemon| unit == daemon.service(&wanted.instance));
            (unit, process.map_or_else(String::new, |daemon| daemon.to_string()))
        }
    };
    let time = i64::try_from(journal.timestamp_usec()?).unwrap_or(i64::MAX);
    Ok(Some(Entry {
        time: Timestamp(time),
        process,
        unit,
        pid: field(journal, "_PID")?.and_then(|pid| pid.parse().ok()),
        priority: field(journal, "PRIORITY")?.and_then(|priority| priority.parse().ok()).unwrap_or(6),
        message: field(journal, "MESSAGE")?.unwrap_or_default(),
        event,
        message_id: field(journal, "MESSAGE_ID")?,
    }))
}

fn field(journal: &mut Journal, name: &str) -> systemd::Result<Option<String>> {
    let field = journal.get_data(name)?;
    Ok(field.and_then(|field| field.value().map(|value| String::from_utf8_lossy(value).into_owned())))
}

/// libsystemd passes silently over journals that it may not open; this tells.
fn may_read() -> Result<(), CliError> {
    let mut denied = None;
    for directory in DIRECTORIES.map(Path::new) {
        match fs::read_dir(directory) {
            Ok(entries) => {
                for machine in entries.flatten() {
                    let file = machine.path().join("system.journal");
                    match File::open(&file) {
                        Ok(_) => return Ok(()),
                        Err(e) if e.kind() == ErrorKind::PermissionDenied => denied = Some(file),
                        Err(_) => {}
                    }
                }
            }
            Err(e) if e.kind() == ErrorKind::PermissionDenied => denied = Some(directory.to_owned()),
            Err(_) => {}
        }
    }
    Err(match denied {
        Some(path) => CliError::new(Exit::Refused, "this user may not read the system's journal")
            .because(format!("{} cannot be opened: permission denied", path.display()))
            .hint("sudo merlon logs, or join the group `systemd-journal`"),
        None => CliError::new(Exit::NothingFound, "this machine has no journal of the system")
            .because(format!("neither {} nor {} holds one", DIRECTORIES[0], DIRECTORIES[1]))
            .hint("is systemd-journald running? systemctl status systemd-journald"),
    })
}
