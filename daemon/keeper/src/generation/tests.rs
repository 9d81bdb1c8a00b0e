//! Whole starts of an instance on disk, with a counter in memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use merlon_sandbox::systemd::Notify;

use super::*;
use crate::door::Door;
use crate::instance;
use crate::keeper::Keeper;
use crate::slots::{Means, Serving};

/// What a TPM would keep.
#[derive(Default)]
struct Tpm {
    counters: Vec<(u32, [u8; 32], u64)>,
    /// Operations that still succeed; none: all.
    left: Option<u32>,
}

#[derive(Clone, Default)]
struct Fake(Arc<Mutex<Tpm>>);

impl Fake {
    fn act<T>(&self, index: u32, act: impl FnOnce(&mut Tpm, usize) -> T) -> Result<T, CounterError> {
        let mut tpm = self.0.lock().unwrap();
        if let Some(left) = &mut tpm.left {
            *left = left.checked_sub(1).ok_or_else(|| CounterError("the TPM is gone".to_owned()))?;
        }
        let at = match tpm.counters.iter().position(|(found, ..)| *found == index) {
            _ if index == 0 => 0,
            Some(at) => at,
            None => return Err(CounterError("the TPM has no such counter".to_owned())),
        };
        Ok(act(&mut tpm, at))
    }

    fn limit(&self, operations: Option<u32>) {
        self.0.lock().unwrap().left = operations;
    }

    fn clear(&self) {
        self.0.lock().unwrap().counters.clear();
    }
}

impl CounterDevice for Fake {
    fn define(&self, auth: &[u8; 32]) -> Result<(u32, u64), CounterError> {
        self.act(0, |tpm, _| {
            let index = 0x0180_0100 + u32::try_from(tpm.counters.len()).unwrap();
            tpm.counters.push((index, *auth, 7));
            (index, 7)
        })
    }

    fn advance(&self, counter: &Counter) -> Result<u64, CounterError> {
        self.act(counter.index, |tpm, at| {
            assert_eq!(tpm.counters[at].1, counter.auth);
            tpm.counters[at].2 += 1;
            tpm.counters[at].2
        })
    }

    fn read(&self, counter: &Counter) -> Result<u64, CounterError> {
        self.act(counter.index, |tpm, at| tpm.counters[at].2)
    }

    fn remove(&self, counter: &Counter) -> Result<(), CounterError> {
        self.act(counter.index, |tpm, at| {
            tpm.counters.remove(at);
        })
    }
}

/// An instance's directory and its TPM.
struct Machine {
    dir: PathBuf,
    tpm: Fake,
}

const KEYSLOTS: &[&str] = &["keyslots.a", "keyslots.b"];
const SECRETS: &[&str] = &["secrets.db"];

impl Machine {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("merlon-generation-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir(&dir).unwrap();
        Self { dir, tpm: Fake::default() }
    }

    fn means(&self) -> Means {
        let door = Door::new(None, None, 5).into();
        Means {
            serving: Serving::Instance,
            dir: self.dir.clone(),
            door,
            credential: None,
            pkcs11_pin: false,
            tpm_first: false,
        }
    }

    fn start(&self) -> Keeper {
        self.start_with(Generation::new(Some(Box::new(self.tpm.clone()))))
    }

    fn start_with(&self, generation: Generation) -> Keeper {
        let slots = instance::find(&self.dir).unwrap();
        let sandbox = merlon_wire::SandboxReport {
            landlock_abi: 0,
            landlock: String::new(),
            missing: Vec::new(),
            seccomp: false,
            no_new_privs: false,
            core_dumps_off: false,
            secret_memory: String::new(),
        };
        let keeper = Keeper::new(self.means(), None, false, sandbox, slots, generation, Notify::from_env().unwrap());
        keeper.open_by_itself().unwrap();
        keeper
    }

    /// A start that must open, a change, and a clean stop.
    fn run(&self) {
        let keeper = self.start();
        assert_eq!(told(&keeper), "");
        let open = keeper.open().expect("it opens");
        open.db().create_token("viewer", "x").unwrap();
        keeper.count_change(&open);
        drop(open);
        keeper.close();
    }

    fn copy(&self, names: &[&'static str]) -> Vec<(&'static str, Vec<u8>)> {
        names.iter().map(|name| (*name, fs::read(self.dir.join(name)).unwrap())).collect()
    }

    fn put_back(&self, files: &[(&'static str, Vec<u8>)]) {
        files.iter().for_each(|(name, bytes)| fs::write(self.dir.join(name), bytes).unwrap());
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn told(keeper: &Keeper) -> String {
    keeper.generation.warnings().join(" ")
}

/// As the admin request does.
fn accept(keeper: &Keeper, name: &str) -> bool {
    assert!(keeper.generation.accept(name).is_some(), "{name}: {}", told(keeper));
    reopen(keeper)
}

fn reopen(keeper: &Keeper) -> bool {
    let opened = keeper
        .unlock(|slots| Ok::<_, KeeperError>(slots.open_by_machine(keeper.means()).unwrap_or_else(|e| panic!("{e}"))));
    matches!(opened, Ok(Some(1)))
}

fn missing(path: &Path) -> bool {
    !path.exists()
}

#[test]
fn ordinary_starts_changes_and_stops_are_no_rollback() {
    let machine = Machine::new("ordinary");
    (0..5).for_each(|_| machine.run());
    // A kill: nothing is counted at the end.
    drop(machine.start());
    machine.run();
}

#[test]
fn each_old_file_put_back_is_named_and_refused_until_it_is_accepted() {
    for (names, told_of) in [
        (SECRETS, &["secrets.db"][..]),
        (KEYSLOTS, &["keyslots"]),
        (&["keyslots.a", "keyslots.b", "secrets.db"], &["keyslots", "secrets.db"]),
    ] {
        let machine = Machine::new(&format!("old-{}", names.len()));
        machine.run();
        let old = machine.copy(names);
        machine.run();
        machine.put_back(&old);
        for _ in 0..2 {
            let keeper = machine.start();
            assert!(keeper.open().is_none(), "{names:?}");
            for name in ["secrets.db", "keyslots"] {
                let accept = format!("`merlon unlock --accept-rollback {name}`");
                assert_eq!(told(&keeper).contains(&accept), told_of.contains(&name), "{}", told(&keeper));
            }
            assert!(!reopen(&keeper), "a second try is refused too");
            assert!(keeper.generation.accept("counter").is_none());
        }
        let keeper = machine.start();
        let (last, first) = told_of.split_last().unwrap();
        assert!(first.iter().all(|name| !accept(&keeper, name)), "each needs its own word");
        assert!(accept(&keeper, last));
        assert_eq!(told(&keeper), "");
        drop(keeper);
        machine.run();
        // It was accepted once, not for ever.
        machine.put_back(&old);
        assert!(machine.start().open().is_none());
    }
}

#[test]
fn a_crash_anywhere_in_a_move_is_no_rollback() {
    let machine = Machine::new("crash");
    machine.run();
    // Files first: the counter is read, the files are written, and then the machine dies.
    for operations in 0..6 {
        let keeper = machine.start();
        machine.tpm.limit(Some(operations));
        let open = keeper.open().unwrap();
        keeper.count_change(&open);
        keeper.count_change(&open);
        drop((open, keeper));
        machine.tpm.limit(None);
        machine.run();
    }
    // One file written, and not the other.
    let old = machine.copy(SECRETS);
    let keeper = machine.start();
    drop(keeper);
    let new = machine.copy(KEYSLOTS);
    machine.run();
    assert!(old != machine.copy(SECRETS) && new != machine.copy(KEYSLOTS));
}

#[test]
fn the_first_move_of_all_may_be_cut_short_too() {
    for operations in 0..3 {
        let machine = Machine::new(&format!("first-{operations}"));
        assert!(missing(&machine.dir.join("secrets.db")));
        machine.tpm.limit(Some(operations));
        let keeper = machine.start();
        assert!(keeper.open().is_some(), "a counter that cannot be made stops no first start");
        assert_eq!(told(&keeper).is_empty(), operations == 2, "{}", told(&keeper));
        drop(keeper);
        machine.tpm.limit(None);
        machine.run();
    }
}

#[test]
fn a_lost_counter_is_told_and_made_anew_or_passed_over_once() {
    let machine = Machine::new("lost");
    machine.run();
    machine.tpm.clear();
    let keeper = machine.start();
    assert!(keeper.open().is_none());
    assert!(told(&keeper).contains("no such counter") && told(&keeper).contains("--accept-rollback counter"));
    assert!(accept(&keeper, "counter"));
    assert!(told(&keeper).contains("does not move"), "{}", told(&keeper));
    drop(keeper);
    let keeper = machine.start();
    assert!(keeper.open().is_none(), "it was passed over once");
    keeper.generation.reset_at_next_opening();
    assert!(reopen(&keeper));
    assert_eq!(told(&keeper), "");
    drop(keeper);
    machine.run();
    // Of an open instance it can be made anew at any time, and the old one goes.
    let keeper = machine.start();
    keeper.renew_counter(&keeper.open().unwrap()).unwrap();
    assert_eq!(machine.tpm.0.lock().unwrap().counters.len(), 1);
    drop(keeper);
    machine.run();
}

#[test]
fn files_from_before_the_counter_are_old() {
    for names in [SECRETS, KEYSLOTS] {
        let machine = Machine::new(&format!("before-{}", names.len()));
        drop(machine.start_with(Generation::new(None)));
        let old = machine.copy(names);
        machine.run();
        machine.put_back(&old);
        let keeper = machine.start();
        assert!(keeper.open().is_none(), "{names:?}");
        assert!(told(&keeper).contains("old cop"), "{}", told(&keeper));
    }
}
