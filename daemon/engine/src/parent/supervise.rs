//! Keeps an instance's processes running and joined; prints the ready line; stops them in order.

use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use merlon_sandbox::seqpacket;
use merlon_wire::Role;
use merlon_wire::parent::Ready;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep_until, timeout};

use super::child::{Child, Recipe};
use super::unlock;
use crate::{exit, log};

/// The fixed parts of the ready line.
pub(super) struct Announcement {
    /// The proxy's addresses.
    pub(super) proxy: String,
    /// The API's URL.
    pub(super) api: String,
    /// The API's Unix socket.
    pub(super) socket: String,
}

/// Deaths in a row, without being ready in between, after which the instance is given up.
const MAX_FAILURES: u32 = 6;

/// The first pause before a restart; it doubles with each failure in a row.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Keeper and dialer have nothing to drain.
const STOP_LIMIT: Duration = Duration::from_secs(3);

/// One of the instance's processes: running, or waiting for its restart.
struct Post {
    recipe: Recipe,
    child: Option<Child>,
    failures: u32,
    due: Instant,
    ready: bool,
}

/// What happened.
enum Event {
    Word(Ready),
    HungUp,
    Ended(ExitStatus),
    Due,
}

/// Runs the processes until a signal, or until one cannot be run; returns the exit code.
pub(super) async fn supervise(
    recipes: [Recipe; 3],
    announcement: &Announcement,
    admin_socket: &Path,
    drain: Duration,
) -> io::Result<u8> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let on_terminal = io::stdin().is_terminal();
    let now = Instant::now();
    let mut posts = recipes.map(|recipe| Post { recipe, child: None, failures: 0, due: now, ready: false });
    for index in 0..posts.len() {
        start(&mut posts, index).await?;
    }
    let mut announced = false;
    let [mut keeper, mut dialer, mut engine] = posts;
    let code = loop {
        let (role, event) = tokio::select! {
            event = keeper.event() => (Role::Keeper, event),
            event = dialer.event() => (Role::Dialer, event),
            event = engine.event() => (Role::Engine, event),
            _ = stop_signal(&mut terminate, &mut interrupt) => break exit::OK,
            _ = hang_up.recv() => {
                // The same signal says that the terminal is gone, and with it whoever would press Ctrl-C.
                if on_terminal && !io::stdin().is_terminal() {
                    break exit::OK;
                }
                // The keeper reads nothing anew: its settings hold for as long as its keys are in memory.
                for child in [&engine, &dialer].into_iter().filter_map(|post| post.child.as_ref()) {
                    child.ask_to_reload();
                }
                continue;
            }
        };
        let mut posts = [keeper, dialer, engine];
        let index = posts.iter().position(|post| post.recipe.role == role).unwrap_or_default();
        let verdict = handle(&mut posts, index, event?, announcement, admin_socket, &mut announced).await?;
        [keeper, dialer, engine] = posts;
        if let Some(code) = verdict {
            break code;
        }
    };
    unlock::restore_terminal();
    // The engine first: it still needs the others for what is under way.
    engine.stop(drain + STOP_LIMIT).await?;
    dialer.stop(STOP_LIMIT).await?;
    keeper.stop(STOP_LIMIT).await?;
    Ok(code)
}

async fn stop_signal(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Acts on an event; a code ends the instance.
async fn handle(
    posts: &mut [Post; 3],
    index: usize,
    event: Event,
    announcement: &Announcement,
    admin_socket: &Path,
    announced: &mut bool,
) -> io::Result<Option<u8>> {
    let post = &mut posts[index];
    let program = post.recipe.role.program();
    match event {
        Event::Word(ready) => {
            post.ready = true;
            post.failures = 0;
            match ready {
                Ready::Keeper { locked: true } => unlock::ask(admin_socket),
                Ready::Engine { ca_file, ca_fingerprint } if !*announced => {
                    *announced = true;
                    let Announcement { proxy, api, socket } = announcement;
                    let mut out = io::stdout().lock();
                    writeln!(out, "ready proxy={proxy} api={api} socket={socket} ca={ca_file}")?;
                    out.flush()?;
                    log::info(format_args!("CA certificate SHA-256 {ca_fingerprint}"));
                }
                Ready::Keeper { locked: false } | Ready::Engine { .. } | Ready::Dialer => {}
            }
        }
        // Its end follows.
        Event::HungUp => {}
        Event::Ended(status) => {
            post.child = None;
            post.ready = false;
            post.failures += 1;
            if let Some(code @ (64 | 77 | 78)) = status.code() {
                log::error(format_args!("{program} cannot run, see above; the instance stops"));
                return Ok(u8::try_from(code).ok());
            }
            let how = match (status.code(), status.signal()) {
                (Some(code), _) => format!("exit code {code}"),
                (None, Some(signal)) => format!("signal {signal}"),
                (None, None) => "an unknown cause".to_owned(),
            };
            if post.failures >= MAX_FAILURES {
                log::error(format_args!(
                    "{program} ended {MAX_FAILURES} times in a row, last with {how}; the instance stops"
                ));
                let code = status.code().and_then(|code| u8::try_from(code).ok()).filter(|code| *code != exit::OK);
                return Ok(Some(code.unwrap_or(exit::INTERNAL)));
            }
            let pause = FIRST_PAUSE * (1 << (post.failures - 1));
            post.due = Instant::now() + pause;
            log::warn(format_args!("{program} ended with {how}; it is started again in {} ms", pause.as_millis()));
        }
        Event::Due => {
            if let Err(error) = start(posts, index).await {
                log::error(format_args!("{error}"));
                posts[index].failures += 1;
                if posts[index].failures >= MAX_FAILURES {
                    return Ok(Some(exit::INTERNAL));
                }
                posts[index].due = Instant::now() + FIRST_PAUSE * (1 << posts[index].failures);
            }
        }
    }
    Ok(None)
}

/// Starts a process and joins it with those that run.
async fn start(posts: &mut [Post; 3], index: usize) -> io::Result<()> {
    let child = posts[index].recipe.start()?;
    for other in posts.iter().filter_map(|post| post.child.as_ref()) {
        // Keeper and dialer have nothing to say to each other.
        if (child.role == Role::Engine) != (other.role == Role::Engine) {
            let (one, two) = seqpacket::pair()?;
            child.give_link(other.role, &one).await?;
            // A peer that is gone is started again and then gets a link of its own.
            if let Err(error) = other.give_link(child.role, &two).await {
                log::warn(format_args!("{} takes no link: {error}", other.role.program()));
            }
        }
    }
    posts[index].child = Some(child);
    Ok(())
}

impl Post {
    /// The next event; never ready again after the instance's end.
    async fn event(&mut self) -> io::Result<Event> {
        let Some(child) = &mut self.child else {
            sleep_until(self.due).await;
            return Ok(Event::Due);
        };
        if self.ready {
            return child.ended().await.map(Event::Ended);
        }
        match child.word_or_end().await? {
            Ok(Some(ready)) => Ok(Event::Word(ready)),
            Ok(None) => {
                self.ready = true;
                Ok(Event::HungUp)
            }
            Err(status) => Ok(Event::Ended(status)),
        }
    }

    async fn stop(&mut self, limit: Duration) -> io::Result<()> {
        let Some(child) = &mut self.child else { return Ok(()) };
        child.ask_to_stop();
        if timeout(limit, child.ended()).await.is_err() {
            log::warn(format_args!(
                "{} did not stop within {} s and is killed",
                self.recipe.role.program(),
                limit.as_secs()
            ));
            child.kill().await?;
        }
        self.child = None;
        Ok(())
    }
}
