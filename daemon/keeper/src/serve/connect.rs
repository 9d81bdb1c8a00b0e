//! Under systemd the keeper connects to the engine's link socket, and again whenever the engine was restarted.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use merlon_sandbox::seqpacket;

use super::link::{self, CurrentLink};
use super::spawn;
use crate::keeper::Keeper;
use crate::log;

/// The first wait after a failed connection; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(20);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Starts the thread that keeps a link to the socket at `path`.
pub(super) fn keep_connected(keeper: &Arc<Keeper>, path: PathBuf, current: Arc<CurrentLink>) -> io::Result<()> {
    let keeper = Arc::clone(keeper);
    spawn("link", move || {
        let mut wait = FIRST_WAIT;
        loop {
            if let Some(link) = try_connect(&path, wait) {
                wait = FIRST_WAIT;
                let link = Arc::new(link);
                current.replace(&link);
                link::serve(&keeper, &link);
            }
            // Also after a link that was made: one that is dropped at once must not become a busy loop.
            thread::sleep(wait);
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    })
}

fn try_connect(path: &Path, wait: Duration) -> Option<std::os::fd::OwnedFd> {
    match seqpacket::connect(path) {
        Ok(link) => Some(link),
        Err(error) => {
            // Once, not with every try.
            if wait == FIRST_WAIT {
                log::info(format_args!("waiting for the engine at {}: {error}", path.display()));
            }
            None
        }
    }
}
