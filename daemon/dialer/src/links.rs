//! Where links come from: the parent hands them over (`merlond run`), or this process connects to the engine's socket
//! (systemd) and does so again for ever.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use merlon_sandbox::journal::{self, events};
use merlon_sandbox::seqpacket;
use merlon_wire::Role;
use merlon_wire::link::{AsyncLink, LinkError};
use merlon_wire::parent::{FromChild, Ready, ToChild};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::log;
use crate::serve::Server;

/// The longest message of the parent.
const LONGEST_MESSAGE: usize = 256;
/// The first pause after a link has failed; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause between two attempts to reach the engine.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Says that this process is ready, then serves every link that the parent sends, until the parent hangs up.
pub(crate) async fn from_parent(parent: &AsyncLink, server: Arc<Server>) -> Result<(), LinkError> {
    parent.send_message(&FromChild::Ready(Ready::Dialer), None).await?;
    let mut links = JoinSet::new();
    let mut buffer = [0; LONGEST_MESSAGE];
    loop {
        let received = parent.recv(&mut buffer).await?;
        if received.len == 0 {
            return Ok(());
        }
        while links.try_join_next().is_some() {}
        let ToChild::Link { peer } = merlon_wire::decode(&buffer[..received.len])?;
        match received.fd {
            Some(socket) if peer == Role::Engine => {
                let server = server.clone();
                links.spawn(async move { report(server.serve(socket).await) });
            }
            _ => log::warn(format_args!("the parent sent a link that is of no use here; it was closed")),
        }
    }
}

/// Connects to the engine's link socket, serves, and after a hang-up connects again. `tell` hears in a line how it is.
pub(crate) async fn to_engine(path: &Path, server: Arc<Server>, tell: impl Fn(&str)) -> Infallible {
    let mut pause = FIRST_PAUSE;
    let mut silent = false;
    loop {
        let start = Instant::now();
        match seqpacket::connect(path) {
            Ok(socket) => {
                silent = false;
                tell("connected to the engine");
                report(server.serve(socket).await);
            }
            Err(error) if !silent => {
                silent = true;
                log::warn(format_args!("{} cannot be reached ({error}); trying until it can", path.display()));
            }
            Err(_) => {}
        }
        tell("waiting for the engine");
        // A link that lived is no failure to back off from.
        if start.elapsed() > LONGEST_PAUSE {
            pause = FIRST_PAUSE;
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn report(end: Result<(), LinkError>) {
    match end {
        Ok(()) => {}
        // The engine went away while it was being written to.
        Err(LinkError::Io(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
        Err(error) if error.is_violation() => {
            journal::event(&events::PEER_DROPPED, format_args!("the engine is dropped: {error}"));
        }
        Err(error) => log::warn(format_args!("a link was dropped: {error}")),
    }
}
