//! What the keeper holds while it runs: keyslots, and once a slot has opened, keys, `secrets.db` and the CA.
//!
//! Owns the state and its locks. It answers nobody itself: [`crate::requests`] says who may ask what.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use merlon_sandbox::journal::{self, events};
use merlon_sandbox::systemd::Notify;
use merlon_wire::SandboxReport;
use merlon_wire::keeper::{LockState, Status};

use crate::audit::{Audit, Event};
use crate::backup::RestoreError;
use crate::ca::{Ca, CaError, Host};
use crate::clock::Uptime;
use crate::crypto::CryptoError;
use crate::generation::Generation;
use crate::instance::{self, NotOpened};
use crate::keys::MasterKey;
use crate::limiter::{Limiter, Rate};
use crate::log;
use crate::secrets_db::{SecretsDb, SecretsError};
use crate::signing::Signing;
use crate::slots::{Kind, Means, Opened, Serving, SlotSet, SlotsError};

/// Proxy users whose failures are remembered.
const LIMITED_USERS: usize = 1024;
/// Failures per proxy user.
const USER_RATE: Rate = Rate { burst: 20, per_second: 5 };
/// Failures of access tokens, all together.
const TOKEN_RATE: Rate = Rate { burst: 50, per_second: 20 };
/// Wrong claim codes, all together.
const CLAIM_RATE: Rate = Rate { burst: 20, per_second: 2 };

/// Why the keeper cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeeperError {
    /// Keyslots.
    #[error(transparent)]
    Slots(#[from] SlotsError),
    /// `secrets.db`.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The CA.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// Memory or the library.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// What `merlon restore` laid out.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// An old copy of a file, or a counter that cannot tell.
    #[error("{0}")]
    Rollback(String),
    /// Keyslots gone, `secrets.db` still there.
    #[error("{dir} holds secrets.db but no keyslots; restore keyslots.a or keyslots.b from a backup (nothing was overwritten)", dir = .0.display())]
    KeyslotsMissing(PathBuf),
    /// New keys count, and their files could not be put in place.
    #[error("the files of a replacement of the keys could not be put in place ({path}: {source}); mend that and start again, which goes on with it", path = .path.display())]
    Rotation {
        /// Where.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// As before, in a keeper that still runs.
    #[error("{0}")]
    Halted(String),
    /// A panic, which has told itself.
    #[error("what was to open the instance ended in a panic, see above; please report this")]
    Panic,
    /// `secrets.db` gone, keyslots still there.
    #[error("{path} is missing, and the instance had one; restore it from a backup (nothing was overwritten)", path = .0.display())]
    SecretsMissing(PathBuf),
}

/// All that an unlocked keeper works with.
pub(crate) struct Open {
    pub(crate) master: MasterKey,
    pub(crate) db: Mutex<SecretsDb>,
    /// None: it is a hub's.
    pub(crate) ca: Option<Ca>,
    /// A hub's signing keys.
    pub(crate) signing: Signing,
    /// The slot that opened the instance.
    pub(crate) slot: u32,
    kind: Kind,
}

impl Open {
    /// `secrets.db` and CA of a complete instance.
    pub(crate) fn load(dir: &Path, opened: Opened, serving: Serving) -> Result<Self, KeeperError> {
        if !SecretsDb::exists(dir) {
            return Err(KeeperError::SecretsMissing(dir.join(crate::secrets_db::FILE)));
        }
        let db = SecretsDb::open(dir, &opened.master)?;
        let ca = match serving {
            Serving::Instance => Some(Ca::load(&db)?),
            Serving::Hub => None,
        };
        let Opened { master, slot, kind } = opened;
        Ok(Self { master, db: Mutex::new(db), ca, signing: Signing::default(), slot, kind })
    }

    /// The same instance under a new master key, from the files that are in place now.
    pub(crate) fn under(&self, dir: &Path, master: MasterKey) -> Result<Self, KeeperError> {
        let serving = if self.ca.is_some() { Serving::Instance } else { Serving::Hub };
        Self::load(dir, Opened { master, slot: self.slot, kind: self.kind }, serving)
    }

    /// That it was opened, and by what.
    pub(crate) fn unlocked(&self) -> Event {
        Event::Unlocked { slot: self.slot, kind: self.kind.name() }
    }

    /// `secrets.db`, for one request.
    pub(crate) fn db(&self) -> MutexGuard<'_, SecretsDb> {
        unpoisoned(self.db.lock())
    }
}

/// The keeper's state; shared by all threads.
pub(crate) struct Keeper {
    means: Means,
    host_name: Option<Host>,
    /// An authorization server is configured.
    has_issuer: bool,
    sandbox: SandboxReport,
    /// The service manager.
    pub(crate) notify: Notify,
    slots: Mutex<SlotSet>,
    open: RwLock<Option<Arc<Open>>>,
    unlocking: Mutex<()>,
    /// The first try of this start is not over.
    opening: AtomicBool,
    telling: Mutex<()>,
    /// Shared by requests; held alone by the one that replaces what is open.
    turns: RwLock<()>,
    /// Why this process must not open the instance again.
    halted: OnceLock<String>,
    pub(crate) audit: Audit,
    pub(crate) generation: Generation,
    pub(crate) uptime: Uptime,
    pub(crate) users: Mutex<Limiter<String>>,
    pub(crate) tokens: Mutex<Limiter<()>>,
    pub(crate) claims: Mutex<Limiter<()>>,
}

impl Keeper {
    /// Not open yet, with the keyslots that a start has found; [`Self::open_by_itself`] is to come.
    pub(crate) fn new(
        means: Means,
        host_name: Option<Host>,
        has_issuer: bool,
        sandbox: SandboxReport,
        slots: SlotSet,
        generation: Generation,
        notify: Notify,
    ) -> Self {
        let audit = Audit::new(means.dir());
        Self {
            means,
            host_name,
            has_issuer,
            sandbox,
            notify,
            slots: Mutex::new(slots),
            open: RwLock::new(None),
            unlocking: Mutex::new(()),
            opening: AtomicBool::new(true),
            telling: Mutex::new(()),
            turns: RwLock::new(()),
            halted: OnceLock::new(),
            audit,
            generation,
            uptime: Uptime::start(),
            users: Mutex::new(Limiter::new(USER_RATE, LIMITED_USERS)),
            tokens: Mutex::new(Limiter::new(TOKEN_RATE, 1)),
            claims: Mutex::new(Limiter::new(CLAIM_RATE, 1)),
        }
    }

    /// What is open; `None` while locked.
    pub(crate) fn open(&self) -> Option<Arc<Open>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A turn for a request like most.
    pub(crate) fn turn(&self) -> RwLockReadGuard<'_, ()> {
        self.turns.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A turn for a request that bears no other beside it.
    pub(crate) fn turn_alone(&self) -> RwLockWriteGuard<'_, ()> {
        self.turns.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts new keyslots and what they open in place of the old ones. For a request that has its turn alone.
    pub(crate) fn replace(&self, slots: SlotSet, open: Open) {
        *self.slots() = slots;
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(open));
        self.tell_state();
    }

    /// Forgets all keys, and opens nothing any more, for this reason.
    pub(crate) fn halt(&self, why: String) {
        // The first reason counts.
        let _ = self.halted.set(why);
        drop(self.open.write().unwrap_or_else(PoisonError::into_inner).take());
        self.tell_state();
    }

    /// Tells the service manager, in one line, whether the keeper is open.
    pub(crate) fn tell_state(&self) {
        // What is told last is what is true.
        let _one_at_a_time = unpoisoned(self.telling.lock());
        let opening = self.is_opening();
        let state = match (self.open(), self.halted.get()) {
            (Some(open), _) => format!("unlocked by keyslot {} ({})", open.slot, open.kind.name()),
            (None, Some(why)) => why.clone(),
            (None, None) if opening => "trying the keyslots that open by themselves".to_owned(),
            (None, None) => "locked".to_owned(),
        };
        if let Err(error) = self.notify.status(&state) {
            log::warn(format_args!("systemd was not told the keeper's state: {error}"));
        }
    }

    fn is_opening(&self) -> bool {
        self.opening.load(Ordering::Acquire)
    }

    /// Returns if the locks that every request takes for a moment can be had. Requests may be under way for long, and
    /// one may have its turn alone: that is life.
    pub(crate) fn wait_for_locks(&self) {
        drop(self.slots());
        drop(self.open());
    }

    /// The keyslots, for a short moment: nothing slow (Argon2id, `merlon-seal`) may run meanwhile.
    pub(crate) fn slots(&self) -> MutexGuard<'_, SlotSet> {
        unpoisoned(self.slots.lock())
    }

    /// The keeper's directory.
    pub(crate) fn dir(&self) -> &Path {
        self.means.dir()
    }

    /// What slots may use.
    pub(crate) fn means(&self) -> &Means {
        &self.means
    }

    /// The host's own name, if it can stand in a certificate.
    pub(crate) fn host_name(&self) -> Option<&Host> {
        self.host_name.as_ref()
    }

    /// What is enforced on this process.
    pub(crate) fn sandbox(&self) -> &SandboxReport {
        &self.sandbox
    }

    /// Opens a locked keeper by what `with` makes of the keyslots; others wait. `None` if it is open already.
    pub(crate) fn unlock<E: From<KeeperError>>(
        &self,
        with: impl FnOnce(&mut SlotSet) -> Result<Opened, E>,
    ) -> Result<Option<u32>, E> {
        let _one_at_a_time = unpoisoned(self.unlocking.lock());
        if self.open().is_some() {
            return Ok(None);
        }
        if let Some(why) = self.halted.get() {
            return Err(KeeperError::Halted(why.clone()).into());
        }
        // On a copy, so that status is answered while Argon2id or a TPM works. Nothing else changes the slots of a locked
        // keeper.
        let mut slots = self.slots().clone();
        let opened = with(&mut slots).and_then(|opened| {
            let id = opened.slot;
            let open = instance::load(&self.means, &mut slots, opened, &self.generation)?;
            Ok((id, open))
        });
        let (id, open) = opened.inspect_err(|_| self.slots().take_notes_of(&slots))?;
        *self.slots() = slots;
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(open));
        self.tell_state();
        Ok(Some(id))
    }

    /// The state, for anybody who may ask.
    pub(crate) fn status(&self) -> Status {
        // Before what it may open, so that what opens meanwhile is not taken for locked.
        let opening = self.is_opening();
        let open = self.open();
        let last_project = open.as_ref().and_then(|open| open.db().last_project().ok().flatten());
        let waiting = open.as_ref().and_then(|open| open.db().waiting().ok()).unwrap_or(0);
        let mut found = self.generation.warnings();
        found.extend(self.audit.warnings());
        let slots = self.slots();
        let mut warnings = slots.notes().to_vec();
        warnings.append(&mut found);
        warnings.extend(self.halted.get().cloned());
        if waiting > 0 {
            warnings.push(format!(
                "The keys are being replaced: {waiting} projects still have their old key; run `merlon keyslot rotate` to go on."
            ));
        }
        if !slots.recovery_confirmed() {
            warnings.push(RECOVERY_UNCONFIRMED.to_owned());
        }
        Status {
            state: match open {
                Some(_) => LockState::Unlocked,
                None if opening => LockState::Opening,
                None => LockState::Locked,
            },
            opened_by: open.map(|open| open.kind.name().to_owned()),
            slots: slots.slots().iter().map(|slot| slot.kind().name().to_owned()).collect(),
            recovery_confirmed: slots.recovery_confirmed(),
            secret_memory: merlon_sandbox::secret::backend().as_str().to_owned(),
            warnings,
            last_project,
            instance: slots.instance().hex(),
        }
    }

    /// The first try of a start, and the first events of this run. Makes the instance if there is none. If no slot opens
    /// by itself the keeper stays locked, which is no error.
    ///
    /// # Errors
    /// What no later try would mend.
    pub(crate) fn open_by_itself(&self) -> Result<(), KeeperError> {
        self.audit.record(None, [Event::Start { version: env!("CARGO_PKG_VERSION") }]);
        let tried = self.unlock(|slots| instance::open_by_itself(slots, &self.means));
        self.opening.store(false, Ordering::Release);
        let unlocked = match tried {
            Ok(unlocked) => unlocked.is_some(),
            Err(NotOpened::Locked) => false,
            Err(NotOpened::Fatal(error)) => return Err(error),
        };
        let open = self.open();
        // Somebody else's opening is in the log already.
        let unlocked = open.as_deref().filter(|_| unlocked).map(Open::unlocked);
        let failed: Vec<_> = self.slots().failed();
        let failed = failed.into_iter().map(|(slot, kind)| Event::KeyslotFailed { slot, kind });
        self.audit.record(open.as_deref(), failed.chain(unlocked));
        self.tell_start();
        Ok(())
    }

    /// What the operator should know after a start.
    fn tell_start(&self) {
        for warning in self.status().warnings {
            if warning == RECOVERY_UNCONFIRMED {
                journal::event(&events::RECOVERY_UNCONFIRMED, format_args!("{warning}"));
            } else {
                log::warn(format_args!("{warning}"));
            }
        }
        self.tell_state();
        let unclaimed = |open: &Arc<Open>| matches!(open.db().owner(), Ok(None));
        if self.has_issuer && self.open().as_ref().is_some_and(unclaimed) {
            let hint = "the instance has no owner yet; run `merlon claim-code` on its host, then sign in";
            journal::event(&events::UNCLAIMED, format_args!("{hint}"));
        }
        if self.open().is_none() {
            log::warn(format_args!("locked: no keyslot opened by itself; run `merlon unlock`"));
        }
    }

    /// A change that an old copy of the keeper's files must not undo: the rollback counter moves.
    pub(crate) fn count_change(&self, open: &Open) {
        self.generation.advance(&self.slots, open);
    }

    /// A new rollback counter, for an open keeper.
    pub(crate) fn renew_counter(&self, open: &Open) -> Result<(), String> {
        self.generation.renew(&self.slots, open)
    }

    /// Forgets all keys and closes `secrets.db`, whose log is emptied and removed, before an orderly end. A request
    /// under way in another thread still finishes.
    pub(crate) fn close(&self) {
        let open = self.open.write().unwrap_or_else(PoisonError::into_inner).take();
        self.audit.stop(open.as_deref());
        let Some(open) = open else { return };
        self.count_change(&open);
        let emptied = open.db().checkpoint();
        if let Err(error) = emptied {
            log::warn(format_args!("the log of secrets.db was not emptied: {error}"));
        }
    }
}

/// Said by status and at every start until a recovery key was typed back.
const RECOVERY_UNCONFIRMED: &str = "recovery unconfirmed: if the machine loses its keyslot, all data is lost; run \
     `merlon keyslot add recovery`, keep the key elsewhere, and type it back.";

/// A thread that panicked while it held a lock has left whole values behind: all changes are made by replacing.
pub(crate) fn unpoisoned<T>(lock: Result<T, PoisonError<T>>) -> T {
    lock.unwrap_or_else(PoisonError::into_inner)
}
