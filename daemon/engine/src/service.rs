//! What systemd is told of the engine: that it serves, one line on how it is, and that it lives. Without a service
//! manager nothing is told, and nothing of this costs anything.

use std::future::pending;
use std::time::Duration;

use merlon_sandbox::systemd::{Notify, watchdog_interval};
use merlon_wire::Role;
use merlon_wire::keeper::{LockState, Status};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::links::Links;
use crate::liveness::Liveness;
use crate::log;
use crate::opening::Phase;
use crate::store::{Stats, Store};

/// How often the line may change.
const PACE: Duration = Duration::from_secs(1);

/// The keeper is asked how it is at every look until it is open, then once in so many, and whenever another has come.
const ASK_EVERY: u32 = 10;

/// After a start of the keeper.
const OPENING: &str = "waiting: the keeper tries its keyslots";

/// What the line is made of.
pub(crate) struct Report {
    /// Keeper and dialer.
    pub(crate) links: Links,
    /// What is recorded.
    pub(crate) store: Store,
    /// How far the opening has come.
    pub(crate) phase: watch::Receiver<Phase>,
}

/// Says that the engine serves once the first attempt to open the instance is over, whatever came of it: a locked
/// instance serves, too, and nothing that waits for this unit may hang. So it does not wait for a keeper that tries its
/// keyslots either, which may take minutes. Then keeps the status line fresh. Never ends.
pub(crate) async fn report(notify: &Notify, mut about: Report) {
    if !notify.is_connected() {
        return pending().await;
    }
    // The sender lives as long as the engine.
    let _ = about.phase.wait_for(|phase| *phase != Phase::Untried).await;
    let mut keeper = Asked::default();
    let mut told = String::new();
    let mut ready = false;
    loop {
        let line = about.line(&mut keeper).await;
        let mut done = Ok(());
        if line != told {
            done = notify.status(&line);
            told = line;
        }
        if !ready {
            ready = true;
            done = done.and(notify.ready());
        }
        if let Err(error) = done {
            log::warn(format_args!("systemd could not be told how the engine is: {error}"));
        }
        sleep(PACE).await;
    }
}

/// Feeds the watchdog as long as the engine lives, if there is one. Never ends.
pub(crate) async fn feed_watchdog(notify: &Notify, mut liveness: Liveness) {
    let Some(half) = watchdog_interval() else { return pending().await };
    // Four times in the unit's WatchdogSec=: a meal that comes late must not kill.
    let pace = half / 2;
    let mut told = false;
    loop {
        match liveness.check(half).await {
            Ok(()) => {
                told = false;
                if let Err(error) = notify.watchdog() {
                    log::warn(format_args!("the watchdog could not be fed: {error}"));
                }
            }
            Err(what) if !told => {
                told = true;
                log::error(format_args!("{what}; systemd will start the engine again unless that ends"));
            }
            Err(_) => {}
        }
        sleep(pace).await;
    }
}

/// The keeper's last answer, and from which keeper.
#[derive(Default)]
struct Asked {
    pid: Option<u32>,
    looks: u32,
    answer: Option<Status>,
}

impl Asked {
    /// Is the keeper with this pid to be asked now? One that is not open may be at any moment.
    fn is_due(&self, pid: Option<u32>) -> bool {
        let open = self.answer.as_ref().is_some_and(|status| status.state == LockState::Unlocked);
        pid != self.pid || !open || self.looks == 0
    }

    async fn look(&mut self, links: &Links) {
        let [(_, keeper), _] = links.peers();
        let pid = keeper.map(|hello| hello.pid);
        self.looks = (self.looks + 1) % ASK_EVERY;
        if !self.is_due(pid) {
            return;
        }
        self.pid = pid;
        self.answer = match links.keeper_now() {
            // One that does not answer must not keep the engine from saying that it is ready.
            Some(keeper) => timeout(PACE, keeper.status()).await.ok().and_then(Result::ok),
            None => None,
        };
    }
}

impl Report {
    async fn line(&self, keeper: &mut Asked) -> String {
        keeper.look(&self.links).await;
        let phase = self.phase.borrow().clone();
        let [_, (_, dialer)] = self.links.peers();
        let project = self.store.current().map(|project| project.name);
        compose(&phase, keeper.answer.as_ref(), dialer.is_some(), project.as_deref(), &self.store.stats())
    }
}

fn compose(phase: &Phase, keeper: Option<&Status>, dialer: bool, project: Option<&str>, stats: &Stats) -> String {
    let mut parts = vec![match (phase, keeper) {
        (Phase::Untried, _) => "starting".to_owned(),
        (Phase::Opening, _) => OPENING.to_owned(),
        (Phase::Failed(what), _) => format!("not open: {what}"),
        (Phase::NoKeeper, _) | (Phase::Locked, None) => "waiting for the keeper".to_owned(),
        (Phase::Locked, Some(keeper)) if keeper.state == LockState::Opening => OPENING.to_owned(),
        (Phase::Locked, Some(_)) => "locked: run merlon unlock".to_owned(),
        (Phase::Open, None) => "open, waiting for the keeper".to_owned(),
        // It was started again while the engine goes on.
        (Phase::Open, Some(keeper)) if keeper.state == LockState::Locked => {
            "open, keeper locked: run merlon unlock".to_owned()
        }
        (Phase::Open, Some(keeper)) if keeper.state == LockState::Opening => format!("open, {OPENING}"),
        (Phase::Open, Some(Status { opened_by: Some(kind), .. })) => format!("open by keyslot {kind}"),
        (Phase::Open, Some(_)) => "open".to_owned(),
    }];
    if *phase == Phase::Open {
        parts.push(project.map_or_else(|| "no project".to_owned(), |name| format!("project {name}")));
        parts.push(format!("{} flows, {} unrecorded", stats.recorded, stats.unrecorded));
    }
    if !dialer {
        parts.push(format!("waiting for {}", Role::Dialer.program()));
    }
    if keeper.is_some_and(|keeper| !keeper.recovery_confirmed) {
        parts.push("recovery unconfirmed".to_owned());
    }
    parts.join(" · ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keeper(opened_by: Option<&str>, recovery_confirmed: bool) -> Status {
        Status {
            state: if opened_by.is_some() { LockState::Unlocked } else { LockState::Locked },
            opened_by: opened_by.map(str::to_owned),
            slots: Vec::new(),
            recovery_confirmed,
            secret_memory: String::new(),
            warnings: Vec::new(),
            last_project: None,
            instance: String::new(),
        }
    }

    #[test]
    fn the_line_says_how_the_instance_is_and_what_it_waits_for() {
        let stats = Stats { recorded: 1234, ..Stats::default() };
        let line = |phase, keeper: Option<&Status>, dialer| compose(&phase, keeper, dialer, Some("default"), &stats);
        let (open, locked) = (keeper(Some("tpm2"), true), keeper(None, true));
        assert_eq!(
            line(Phase::Open, Some(&open), true),
            "open by keyslot tpm2 · project default · 1234 flows, 0 unrecorded"
        );
        assert_eq!(line(Phase::Locked, Some(&locked), true), "locked: run merlon unlock");
        assert_eq!(line(Phase::NoKeeper, None, false), "waiting for the keeper · waiting for merlon-dialer");
        assert_eq!(line(Phase::Failed("why".into()), Some(&open), true), "not open: why");
        let opening = Status { state: LockState::Opening, ..locked.clone() };
        for phase in [Phase::Opening, Phase::Locked] {
            assert_eq!(line(phase, Some(&opening), true), "waiting: the keeper tries its keyslots");
        }
        assert!(line(Phase::Open, Some(&opening), true).starts_with("open, waiting: the keeper tries its keyslots · "));
        assert!(line(Phase::Open, Some(&locked), true).starts_with("open, keeper locked: run merlon unlock · "));
        assert!(line(Phase::Open, None, true).starts_with("open, waiting for the keeper · project default"));
        assert!(line(Phase::Open, Some(&keeper(Some("file"), false)), true).ends_with(" · recovery unconfirmed"));
    }

    #[test]
    fn a_keeper_that_is_not_open_is_asked_at_every_look() {
        let asked = |answer, looks| Asked { pid: Some(7), looks, answer };
        let (open, locked) = (keeper(Some("tpm2"), true), keeper(None, true));
        let opening = Status { state: LockState::Opening, ..locked.clone() };
        for answer in [Some(locked), Some(opening), None] {
            assert!(asked(answer, 1).is_due(Some(7)));
        }
        assert!(!asked(Some(open.clone()), 1).is_due(Some(7)));
        assert!(asked(Some(open.clone()), 0).is_due(Some(7)));
        assert!(asked(Some(open.clone()), 1).is_due(Some(8)));
        assert!(asked(Some(open), 1).is_due(None));
    }
}
