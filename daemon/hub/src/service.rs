//! What systemd is told of the hub: that it serves, one line on how it is, and that it lives. Without a service manager
//! nothing is told, and nothing of this costs anything.

use std::future::pending;
use std::time::Duration;

use merlon_sandbox::systemd::{Notify, watchdog_interval};
use tokio::time::{sleep, timeout};

use crate::log;
use crate::store::Store;

/// Says how the hub is. Who cannot be told finds out by itself.
pub(crate) fn tell(notify: &Notify, line: &str) {
    if notify.is_connected()
        && let Err(error) = notify.status(line)
    {
        log::warn(format_args!("systemd could not be told how the hub is: {error}"));
    }
}

/// Feeds the watchdog as long as the hub lives, if there is one: the runtime takes tasks, and the database, once it is
/// open, has threads that do. Never ends.
pub(crate) async fn feed_watchdog(notify: &Notify, store: impl Fn() -> Option<Store>) {
    let Some(half) = watchdog_interval() else { return pending().await };
    // Four times in the unit's WatchdogSec=: a meal that comes late must not kill.
    let pace = half / 2;
    let mut told = false;
    loop {
        match check(half, store()).await {
            Ok(()) => {
                told = false;
                if let Err(error) = notify.watchdog() {
                    log::warn(format_args!("the watchdog could not be fed: {error}"));
                }
            }
            Err(what) if !told => {
                told = true;
                log::error(format_args!("{what}; systemd will start the hub again unless that ends"));
            }
            Err(_) => {}
        }
        sleep(pace).await;
    }
}

async fn check(patience: Duration, store: Option<Store>) -> Result<(), &'static str> {
    if let Some(store) = store
        && !store.is_alive()
    {
        return Err("a thread of the database has ended");
    }
    // This future is polled by the main thread; connections are served by others.
    match timeout(patience, tokio::spawn(async {})).await {
        Ok(Ok(())) => Ok(()),
        _ => Err("the runtime takes no tasks"),
    }
}
