//! What a process says to its operator: entries in systemd's journal, or lines on standard error.
//!
//! Owned here: the one connection to the journal (its native protocol, without its library), the fields that every
//! entry has, and the table of events that have an id ([`events`]). Standard error is used where it does not lead into
//! the journal, and whenever the journal does not take an entry.
//!
//! Whoever calls sees to it that nothing secret comes here, and no byte of traffic. Control characters are escaped: the
//! words of a peer move no terminal's cursor and begin no entry of their own.

mod entry;
pub mod events;

use std::fmt::Arguments;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use nix::sys::stat::fstat;

use entry::Entry;
use events::Event;

const SOCKET: &str = "/run/systemd/journal/socket";

/// Configurations of instances of the system stand here, each under its instance's name.
const CONFIGURATIONS: &str = "/etc/merlon";
/// The configuration of the system's hub, whose entries name it as an instance's name theirs.
const HUB: (&str, &str) = ("/etc/merlon-hub.toml", "merlon-hub");

/// A journal that does not take an entry for so long is passed by.
const PATIENCE: Duration = Duration::from_secs(1);

static JOURNAL: OnceLock<Journal> = OnceLock::new();

/// The standard error that the process was started with, once descriptor 2 leads nowhere.
static KEPT: OnceLock<File> = OnceLock::new();

/// How much an entry matters, as syslog counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// A request or the program failed.
    Error = 3,
    /// The operator should look at it.
    Warning = 4,
    /// As it should be, and worth knowing later: changes to keys, access and exposure.
    Notice = 5,
    /// As it should be.
    Info = 6,
}

impl Priority {
    const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice | Self::Info => "info",
        }
    }
}

/// Where the entries of this process go.
struct Journal {
    socket: Option<UnixDatagram>,
    program: &'static str,
    process: &'static str,
    instance: Option<String>,
}

/// Says who this process is, and connects to the journal if standard error leads there. To be called once, first in
/// `main`: a sandbox denies it. Without it entries go to standard error.
///
/// `program` is the name of the program, `process` its part in the instance (`keeper`), `instance` the name of an
/// instance of the system.
pub fn open(program: &'static str, process: &'static str, instance: Option<String>) {
    let stream = std::env::var("JOURNAL_STREAM").ok();
    let leads_there = stream.is_some_and(|stream| is_stream(&stream, io::stderr()));
    let socket = if leads_there { connect().ok() } else { None };
    // A second call would be a mistake of the program; the first answer stands.
    let _ = JOURNAL.set(Journal { socket, program, process, instance });
}

/// The instance of the system whose configuration this is: `default` for `/etc/merlon/default.toml`; `merlon-hub` for the
/// hub's.
#[must_use]
pub fn instance_of(configuration: Option<&Path>) -> Option<String> {
    if configuration == Some(Path::new(HUB.0)) {
        return Some(HUB.1.to_owned());
    }
    let file = configuration.filter(|file| file.parent() == Some(Path::new(CONFIGURATIONS)))?;
    file.file_stem()?.to_str().map(str::to_owned)
}

/// Writes an entry.
pub fn write(priority: Priority, message: Arguments<'_>) {
    entry(priority, None, message);
}

/// Writes the entry of an event, with its id and its priority.
pub fn event(event: &Event, message: Arguments<'_>) {
    entry(event.priority, Some(event), message);
}

/// Keeps standard error to [`write`] and [`event`]: descriptor 2 leads nowhere from now on. For programs whose
/// libraries print.
///
/// # Errors
/// The descriptor cannot be copied, or `/dev/null` cannot be opened.
pub fn keep_stderr() -> io::Result<()> {
    let kept = io::stderr().as_fd().try_clone_to_owned()?;
    let nowhere = OpenOptions::new().write(true).open("/dev/null")?;
    nix::unistd::dup2_stderr(nowhere)?;
    // A second call finds descriptor 2 leading nowhere; the first copy is the right one.
    let _ = KEPT.set(kept.into());
    Ok(())
}

fn entry(priority: Priority, event: Option<&Event>, message: Arguments<'_>) {
    let text = entry::escape(&message.to_string());
    let journal = JOURNAL.get();
    if !journal.is_some_and(|journal| journal.send(priority, event, &text)) {
        let program = journal.map_or("merlon", |journal| journal.program);
        // One write for each entry, so that those of several threads do not mix. Nobody is left to be told if standard
        // error is gone.
        let line = format!("{program}: {}: {}\n", priority.word(), text.replace('\n', "\n  "));
        let _ = match KEPT.get() {
            Some(mut kept) => kept.write_all(line.as_bytes()),
            None => io::stderr().write_all(line.as_bytes()),
        };
    }
}

impl Journal {
    /// Did the journal take it?
    fn send(&self, priority: Priority, event: Option<&Event>, text: &str) -> bool {
        let Some(socket) = &self.socket else {
            return false;
        };
        let mut entry = Entry::default();
        entry.field("MESSAGE", text);
        entry.field("PRIORITY", &(priority as u8).to_string());
        entry.field("SYSLOG_IDENTIFIER", self.program);
        entry.field("MERLON_PROCESS", self.process);
        if let Some(instance) = &self.instance {
            entry.field("MERLON_INSTANCE", instance);
        }
        if let Some(event) = event {
            entry.field("MESSAGE_ID", event.id);
            entry.field("MERLON_EVENT", event.name);
        }
        socket.send(entry.as_bytes()).is_ok()
    }
}

fn connect() -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(SOCKET)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// `JOURNAL_STREAM` is inherited; it says which file leads into the journal, so that a redirection shows.
fn is_stream(stream: &str, file: impl AsFd) -> bool {
    let Some((device, inode)) = stream.split_once(':') else {
        return false;
    };
    fstat(file).is_ok_and(|stat| device.parse() == Ok(stat.st_dev) && inode.parse() == Ok(stat.st_ino))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(socket: UnixDatagram, instance: Option<&str>) -> Journal {
        Journal {
            socket: Some(socket),
            program: "merlon-keeper",
            process: "keeper",
            instance: instance.map(str::to_owned),
        }
    }

    #[test]
    fn an_event_has_its_fields_and_its_id() {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let event = &events::UNLOCKED;
        assert!(journal(ours, Some("lab")).send(event.priority, Some(event), "unlocked by keyslot 1"));
        let mut buffer = [0; 1024];
        let len = theirs.recv(&mut buffer).unwrap();
        let expected = format!(
            "MESSAGE=unlocked by keyslot 1\nPRIORITY=5\nSYSLOG_IDENTIFIER=merlon-keeper\nMERLON_PROCESS=keeper\n\
             MERLON_INSTANCE=lab\nMESSAGE_ID={}\nMERLON_EVENT=unlocked\n",
            event.id
        );
        assert_eq!(std::str::from_utf8(&buffer[..len]).unwrap(), expected);
    }

    #[test]
    fn a_journal_that_is_gone_or_absent_takes_nothing() {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        drop(theirs);
        assert!(!journal(ours, None).send(Priority::Info, None, "text"));
        let absent = Journal { socket: None, program: "merlond", process: "engine", instance: None };
        assert!(!absent.send(Priority::Info, None, "text"));
    }

    #[test]
    fn the_stream_is_told_by_device_and_inode() {
        let file = File::open("/dev/null").unwrap();
        let stat = fstat(&file).unwrap();
        assert!(is_stream(&format!("{}:{}", stat.st_dev, stat.st_ino), &file));
        assert!(!is_stream(&format!("{}:{}", stat.st_dev, stat.st_ino + 1), &file));
        assert!(!is_stream("", &file));
        assert!(!is_stream("8:x", &file));
    }

    #[test]
    fn an_instance_of_the_system_is_told_by_its_configuration() {
        let of = |path: &str| instance_of(Some(Path::new(path)));
        assert_eq!(of("/etc/merlon/lab.toml").as_deref(), Some("lab"));
        assert_eq!(of("/etc/merlon-hub.toml").as_deref(), Some("merlon-hub"));
        assert_eq!(of("/etc/other.toml"), None);
        assert_eq!(of("/etc/merlon/old/lab.toml"), None);
        assert_eq!(of("/home/ann/lab.toml"), None);
        assert_eq!(instance_of(None), None);
    }
}
