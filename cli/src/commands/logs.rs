//! `merlon logs`: what an instance's services logged.
//!
//! The journal is read on a thread of its own, because libsystemd waits without looking at Ctrl-C; a short queue between
//! the two keeps a slow reader from filling the memory.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::runtime;
use tokio::sync::mpsc;

use crate::args::{LogsArgs, Since};
use crate::error::{CliError, Exit};
use crate::journal::{self, Entry, Wanted};
use crate::output::{Printer, Tone};
use crate::target::{Owner, Target};

/// Entries on their way from the journal to the terminal.
const QUEUE: usize = 64;
const LINES: u64 = 100;
const LINES_BEFORE_FOLLOWING: u64 = 10;

pub(super) fn run(args: &LogsArgs, target: &Target, printer: &mut Printer) -> Result<(), CliError> {
    let local = target.local("the journal is read")?;
    let Owner::System(instance) = &local.owner else {
        return Err(CliError::usage(format!("the {local} keeps no log in the journal"))
            .because("systemd does not run it: `merlond run` logs on its standard error")
            .hint("name one of the system: --instance NAME"));
    };
    let last = args.lines.or(match (args.since, args.follow) {
        (Some(_), _) => None,
        (None, true) => Some(LINES_BEFORE_FOLLOWING),
        (None, false) => Some(LINES),
    });
    let wanted = Wanted {
        instance: instance.clone(),
        daemon: args.process,
        events: args.events,
        since: args.since.map(microseconds),
        last,
        follow: args.follow,
    };
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| CliError::failed("the program cannot start").because(e))?;
    let shown = runtime.block_on(async {
        tokio::select! {
            shown = show(wanted, printer) => shown,
            _ = tokio::signal::ctrl_c() => Err(CliError::interrupted()),
        }
    })?;
    if shown == 0 {
        return Err(CliError::new(Exit::NothingFound, format!("the journal holds nothing of the {local}"))
            .because("nothing was logged, or nothing that fits what was asked for")
            .hint(local.start_command()));
    }
    Ok(())
}

async fn show(wanted: Wanted, printer: &mut Printer) -> Result<u64, CliError> {
    let (sender, mut entries) = mpsc::channel(QUEUE);
    std::thread::spawn(move || {
        let read = journal::read(&wanted, |entry| sender.blocking_send(Ok(entry)).is_ok());
        if let Err(error) = read {
            // Nobody waits any more after Ctrl-C.
            drop(sender.blocking_send(Err(error)));
        }
    });
    let mut shown = 0;
    while let Some(entry) = entries.recv().await {
        print(&entry?, printer)?;
        shown += 1;
        if entries.is_empty() {
            printer.flush()?;
        }
    }
    Ok(shown)
}

fn print(entry: &Entry, printer: &mut Printer) -> Result<(), CliError> {
    if printer.is_json() {
        return printer.json(entry);
    }
    let (level, tone) = match entry.priority {
        0..=3 => ("error", Tone::Bad),
        4 => ("warning", Tone::Warn),
        5 => ("notice", Tone::Plain),
        6 => ("info", Tone::Plain),
        _ => ("debug", Tone::Faint),
    };
    let time = super::flows::time(&entry.time.to_string());
    let event = entry.event.as_ref().map(|event| format!("[{event}] ")).unwrap_or_default();
    let mut lines = entry.message.lines();
    let first = lines.next().unwrap_or_default();
    printer.toned_line(&format!("{time}  {:<7}  {level:<7}  {event}{first}", entry.process), tone)?;
    lines.try_for_each(|line| printer.toned_line(&format!("{:39}{line}", ""), tone))
}

fn microseconds(since: Since) -> u64 {
    match since {
        Since::At(moment) => u64::try_from(moment.0).unwrap_or_default(),
        Since::Ago(ago) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            u64::try_from(now.saturating_sub(ago).as_micros()).unwrap_or(u64::MAX)
        }
    }
}
