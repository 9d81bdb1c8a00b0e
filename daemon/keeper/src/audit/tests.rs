//! The log's files: closing one and going on in the next, and what can be done to them.

use std::fs;

use super::*;

struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("merlon-audit-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir(&dir).unwrap();
        Self(dir)
    }

    fn open(&self, known: Head) -> (Log, Found) {
        Log::open(&self.0, key(), known, 1000).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let names = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    fn verify(&self, head: Head) -> AuditVerdict {
        verify::Files::open(&self.0).unwrap().verify(&key(), GENESIS, head).unwrap()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const GENESIS: Head = Head { sequence: 0, hash: [3; 32] };

fn key() -> Secret<32> {
    Secret::init(|bytes: &mut [u8; 32]| bytes.fill(7)).unwrap()
}

/// Adds so many entries, one at a time.
fn add(log: &mut Log, count: u64) {
    for id in 0..count {
        log.append(&[(0, Event::ProjectKey { id })], |_| Ok(())).unwrap();
    }
}

#[test]
fn the_chain_goes_on_from_file_to_file_and_each_counts() {
    let dir = Dir::new("files");
    let (mut log, found) = dir.open(GENESIS);
    assert_eq!(found, Found::Whole);
    add(&mut log, 20);
    let names = dir.names();
    assert!(names.len() > 3, "{names:?}");
    let whole = dir.verify(log.head);
    assert_eq!((whole.entries, whole.last, whole.problem), (20, Some(20), None));
    let list = list::entries(&dir.0, &key(), None, 1000).unwrap();
    assert_eq!(list.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), (1..=20).rev().collect::<Vec<_>>());
    let some = list::entries(&dir.0, &key(), Some(9), 3).unwrap();
    assert_eq!(some.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [8, 7, 6]);

    let exchange = |a: &str, b: &str| {
        let (a, b, c) = (dir.0.join(a), dir.0.join(b), dir.0.join("aside"));
        fs::rename(&a, &c).unwrap();
        fs::rename(&b, &a).unwrap();
        fs::rename(&c, &b).unwrap();
    };
    exchange("audit.log.1", "audit.log.2");
    let problem = dir.verify(log.head).problem.unwrap();
    assert!(problem.contains("entry 1 should (audit.log.1, line 1); that one is in audit.log.2"), "{problem}");
    exchange("audit.log.1", "audit.log.2");
    for name in &names {
        fs::rename(dir.0.join(name), dir.0.join("aside")).unwrap();
        let problem = dir.verify(log.head).problem.unwrap();
        assert!(problem.contains(name.as_str()) || problem.contains("are missing"), "{name}: {problem}");
        fs::rename(dir.0.join("aside"), dir.0.join(name)).unwrap();
    }
    assert_eq!(dir.verify(log.head).problem, None);
}

#[test]
fn a_start_goes_on_wherever_a_kill_fell() {
    let dir = Dir::new("kill");
    let (mut log, _) = dir.open(GENESIS);
    let mut moment = 0;
    for round in 0..12 {
        add(&mut log, 1);
        let known = log.head;
        // Killed after the entries were written, and before their head was kept.
        let two = [(0, Event::Stop {}), (0, Event::ProjectKey { id: round })];
        log.append(&two, |_| Ok(())).unwrap();
        let written = log.head;
        drop(log);
        let (next, found) = dir.open(known);
        assert_eq!((found, next.head), (Found::Whole, written), "round {round}");
        // Killed after a file was closed, and before the next was begun.
        if round == 5 {
            moment = next.head.sequence;
            let last = file::closed(&dir.0).unwrap().last().map_or(1, |last| last + 1);
            fs::rename(dir.0.join(FILE), dir.0.join(file::name(last))).unwrap();
            let (next, found) = dir.open(next.head);
            assert_eq!((found, next.head), (Found::Whole, written));
            log = next;
        } else {
            log = next;
        }
    }
    assert!(moment > 0);
    assert_eq!(dir.verify(log.head).problem, None);
}

#[test]
fn a_failed_write_leaves_nothing_behind() {
    let dir = Dir::new("failed");
    let (mut log, _) = dir.open(GENESIS);
    add(&mut log, 2);
    let before = (log.head, fs::read(dir.0.join(FILE)).unwrap());
    let failed = log.append(&[(0, Event::Stop {})], |_| Err(SecretsError::TooMany));
    assert!(failed.is_err());
    assert_eq!((log.head, fs::read(dir.0.join(FILE)).unwrap()), before);
    add(&mut log, 1);
    assert_eq!(dir.verify(log.head).problem, None);
}

#[test]
fn a_file_of_somebody_else_is_set_aside_and_not_lost() {
    let dir = Dir::new("foreign");
    let (mut log, _) = dir.open(GENESIS);
    add(&mut log, 3);
    let known = log.head;
    fs::write(dir.0.join(FILE), "something else\n").unwrap();
    let (mut log, found) = dir.open(known);
    assert_eq!(found, Found::Cut { last: 0, written: 3 });
    add(&mut log, 1);
    assert_eq!(dir.names(), ["audit.log", "audit.log.1"]);
    assert_eq!(fs::read_to_string(dir.0.join("audit.log.1")).unwrap(), "something else\n");
    assert!(dir.verify(log.head).problem.unwrap().contains("entry 1 (audit.log.1, line 1)"));
}

#[test]
fn events_wait_within_bounds_and_what_does_not_fit_is_counted() {
    let mut state = State::default();
    for id in 0..300 {
        state.add(Event::ProjectKey { id });
    }
    assert_eq!((state.waiting.len(), state.dropped), (256, 44));
    let audit = Audit::new(Path::new("/nonexistent"));
    for id in 0..300 {
        audit.record_of_engine(None, Event::ProjectKey { id });
    }
    let mut state = audit.state.lock().unwrap();
    assert_eq!((state.waiting.len(), state.unwritten), (256, 44));
    state.waiting.clear();
    state.take_counts();
    assert!(matches!(state.waiting[..], [(_, Event::Unwritten { count: 44, .. })]));
}
