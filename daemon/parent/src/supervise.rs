//! Keeps the processes running and joined; prints the ready line; stops them in order.

use std::future::poll_fn;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::ExitStatus;
use std::task::Poll;
use std::time::Duration;

use merlon_sandbox::seqpacket;
use merlon_wire::Role;
use merlon_wire::parent::Ready;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep_until, timeout};

use crate::child::{Child, Recipe};
use crate::{exit, log, unlock};

/// Deaths in a row, without being ready in between, after which the instance is given up.
const MAX_FAILURES: u32 = 6;

/// The first pause before a restart; it doubles with each failure in a row.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Keeper and dialer have nothing to drain.
const STOP_LIMIT: Duration = Duration::from_secs(3);

/// One of the processes: running, or waiting for its restart.
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

/// What is run.
pub struct Plan<'a> {
    /// The processes in the order of their start: keeper, then whoever serves with it, last the engine or the hub. They
    /// are stopped in the opposite order, because the last one still needs the others for what is under way.
    pub recipes: Vec<Recipe>,
    /// The ready line for what the last one says once it serves; printed once.
    pub announce: &'a dyn Fn(&Ready) -> Option<String>,
    /// Where a locked keeper takes a passphrase.
    pub admin_socket: &'a Path,
    /// How long the last one may take for what is under way.
    pub drain: Duration,
}

/// Runs the processes until a signal, or until one cannot be run; returns the exit code.
///
/// # Errors
/// The system's, if processes cannot be started or waited for.
pub async fn supervise(plan: Plan<'_>) -> io::Result<u8> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let on_terminal = io::stdin().is_terminal();
    let Plan { recipes, announce, admin_socket, drain } = plan;
    let now = Instant::now();
    let post = |recipe| Post { recipe, child: None, failures: 0, due: now, ready: false };
    let mut posts: Vec<Post> = recipes.into_iter().map(post).collect();
    for index in 0..posts.len() {
        start(&mut posts, index).await?;
    }
    let mut told = Told { announce, admin_socket, announced: false };
    let code = loop {
        tokio::select! {
            (index, event) = next(&mut posts) => {
                if let Some(code) = handle(&mut posts, index, event?, &mut told).await? {
                    break code;
                }
            }
            _ = stop_signal(&mut terminate, &mut interrupt) => break exit::OK,
            _ = hang_up.recv() => {
                // The same signal says that the terminal is gone, and with it whoever would press Ctrl-C.
                if on_terminal && !io::stdin().is_terminal() {
                    break exit::OK;
                }
                // The keeper reads nothing anew: its settings hold for as long as its keys are in memory.
                let readers = posts.iter().filter(|post| post.recipe.role != Role::Keeper);
                for child in readers.filter_map(|post| post.child.as_ref()) {
                    child.ask_to_reload();
                }
            }
        }
    };
    unlock::restore_terminal();
    for (place, post) in posts.iter_mut().rev().enumerate() {
        post.stop(if place == 0 { drain + STOP_LIMIT } else { STOP_LIMIT }).await?;
    }
    Ok(code)
}

/// The next event of any of them.
async fn next(posts: &mut [Post]) -> (usize, io::Result<Event>) {
    let mut events: Vec<_> = posts.iter_mut().map(|post| Box::pin(post.event())).collect();
    poll_fn(|context| {
        for (index, event) in events.iter_mut().enumerate() {
            if let Poll::Ready(event) = event.as_mut().poll(context) {
                return Poll::Ready((index, event));
            }
        }
        Poll::Pending
    })
    .await
}

/// How the outside hears of them.
struct Told<'a> {
    announce: &'a dyn Fn(&Ready) -> Option<String>,
    admin_socket: &'a Path,
    announced: bool,
}

async fn stop_signal(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Acts on an event; a code ends them all.
async fn handle(posts: &mut [Post], index: usize, event: Event, told: &mut Told<'_>) -> io::Result<Option<u8>> {
    let post = &mut posts[index];
    let program = post.recipe.role.program();
    match event {
        Event::Word(ready) => {
            post.ready = true;
            post.failures = 0;
            if let Ready::Keeper { locked: true } = ready {
                unlock::ask(told.admin_socket);
            } else if !told.announced
                && let Some(line) = (told.announce)(&ready)
            {
                told.announced = true;
                let mut out = io::stdout().lock();
                writeln!(out, "{line}")?;
                out.flush()?;
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

/// Links lead from whoever asks to whoever answers.
fn asks(role: Role) -> bool {
    matches!(role, Role::Engine | Role::Hub)
}

/// Starts a process and joins it with those that run.
async fn start(posts: &mut [Post], index: usize) -> io::Result<()> {
    let child = posts[index].recipe.start()?;
    for other in posts.iter().filter_map(|post| post.child.as_ref()) {
        // Keeper and dialer have nothing to say to each other.
        if asks(child.role) != asks(other.role) {
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
