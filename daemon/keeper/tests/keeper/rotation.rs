//! Replacing all keys: what opens afterwards, what does not, and a kill at every step.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;

use merlon_wire::admin::{AdminRefusal, NewKeyslot, Request, Response, RotationPlan, UnlockWith};
use merlon_wire::keeper::{self, LockState, Refusal, Status};

use crate::support::format::Keys;
use crate::support::{Link, Running, Scratch, Starting, add_recovery, start_fails};

const NEXT: [(&str, &str); 3] =
    [("secrets.db.next", "secrets.db"), ("file.key.next", "file.key"), ("keyslots.next", "keyslots.a")];
const MARKER: &str = "rotation.commit";

fn status(running: &Running) -> Status {
    match running.administer(&Request::Status).admin() {
        Response::Status(status) => status,
        other => panic!("{other:?}"),
    }
}

/// Replaces the keys; the new recovery key.
fn rotate(running: &Running, passphrase: &[u8]) -> (u32, String) {
    match running.administer(&Request::Rotate(passphrase)).admin() {
        Response::RecoveryKey { id, key } => (id, key.to_owned()),
        other => panic!("{other:?}"),
    }
}

fn plan(running: &Running, passphrase: &[u8]) -> RotationPlan {
    match running.administer(&Request::PlanRotation(passphrase)).admin() {
        Response::RotationPlan(plan) => plan,
        other => panic!("{other:?}"),
    }
}

fn create_project(link: &mut Link, name: &str) -> u64 {
    match link.ask(&keeper::Request::CreateProject { name }).unwrap().link() {
        keeper::Response::Project(project) => project.id,
        other => panic!("{other:?}"),
    }
}

fn project_key(link: &mut Link, id: u64) -> Vec<u8> {
    match link.ask(&keeper::Request::ProjectKey { id }).unwrap().link() {
        keeper::Response::ProjectKey(key) => key.to_vec(),
        other => panic!("{other:?}"),
    }
}

/// A project that waits: id, key and next key.
type Waiting = (u64, Vec<u8>, Vec<u8>);

/// How many projects wait, and the first of them behind `after`.
fn next_rekey(link: &mut Link, after: u64) -> (u32, Option<Waiting>) {
    match link.ask(&keeper::Request::NextRekey { after }).unwrap().link() {
        keeper::Response::Rekey { waiting, project } => {
            (waiting, project.map(|project| (project.id, project.key.to_vec(), project.next.to_vec())))
        }
        other => panic!("{other:?}"),
    }
}

fn rekeyed(link: &mut Link, id: u64) -> bool {
    link.ask(&keeper::Request::Rekeyed { id }).unwrap().link() == keeper::Response::Done
}

fn unlock(running: &Running, with: UnlockWith<'_>) -> Result<u32, AdminRefusal> {
    match running.administer(&Request::Unlock(with)).admin() {
        Response::Keyslot(id) => Ok(id),
        Response::Refused(refusal) => Err(refusal),
        other => panic!("{other:?}"),
    }
}

/// Puts a file of another directory in place.
fn take(from: &Scratch, to: &Scratch, name: &str) {
    let mode = fs::metadata(from.file(name)).unwrap().permissions();
    drop(fs::remove_file(to.file(name)));
    fs::write(to.file(name), fs::read(from.file(name)).unwrap()).unwrap();
    fs::set_permissions(to.file(name), mode).unwrap();
}

#[test]
fn everything_is_there_afterwards_and_the_old_keys_open_nothing() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let (mut link, _) = running.link();
    let projects = ["first", "second"].map(|name| create_project(&mut link, name));
    let old = projects.map(|id| project_key(&mut link, id));
    let token = match running.administer(&Request::CreateToken { role: "viewer", label: "x" }).admin() {
        Response::Token { token, .. } => token.to_owned(),
        other => panic!("{other:?}"),
    };
    let password = match running.administer(&Request::CreateProxyUser("ann")).admin() {
        Response::ProxyPassword(password) => password.to_owned(),
        other => panic!("{other:?}"),
    };
    let (_, old_recovery) = add_recovery(&running);
    let certificate = link.ask(&keeper::Request::CaCertificate).unwrap();
    running.stop();
    let before = scratch.copy_without(&[]);
    let running = Running::start(&scratch);
    assert_eq!(plan(&running, b""), RotationPlan { waiting: 0, kept: vec![1], dropped: vec![2] });

    let (mut link, _) = running.link();
    assert_eq!(next_rekey(&mut link, 0), (0, None));
    let (recovery, key) = rotate(&running, b"");
    assert_eq!(recovery, 3, "ids are never used again");
    let text = status(&running).warnings.join("\n");
    assert!(text.contains("2 projects still have their old key") && text.contains("recovery unconfirmed"), "{text}");
    let again = running.administer(&Request::Rotate(b""));
    assert_eq!(again.admin(), Response::Refused(AdminRefusal::RotationUnderWay(2)));
    assert_eq!(plan(&running, b"").waiting, 2);

    // The link that was there goes on, and projects keep their keys until the engine has replaced them.
    let mut new = Vec::new();
    for (at, id) in projects.into_iter().enumerate() {
        let after = at.checked_sub(1).map_or(0, |before| projects[before]);
        let (waiting, work) = next_rekey(&mut link, after);
        let (found, key, next) = work.unwrap();
        assert_eq!((waiting as usize, found, &key), (2 - at, id, &old[at]));
        assert!(next != key && next.iter().any(|byte| *byte != 0));
        assert_eq!(project_key(&mut link, id), old[at]);
        assert!(rekeyed(&mut link, id) && rekeyed(&mut link, id), "said twice is no error");
        assert_eq!(project_key(&mut link, id), next);
        new.push(next);
    }
    assert_eq!(next_rekey(&mut link, 0), (0, None));
    let unknown = link.ask(&keeper::Request::Rekeyed { id: 99 }).unwrap();
    assert_eq!(unknown.link(), keeper::Response::Refused(Refusal::NoSuchProject));
    assert_eq!(running.administer(&Request::ConfirmRecovery(key.as_bytes())).admin(), Response::Keyslot(recovery));
    assert_eq!(status(&running).warnings, Vec::<String>::new());
    running.stop();

    // What was shown once is still good, and so is the CA.
    let running = Running::start(&scratch);
    let (mut link, _) = running.link();
    assert_eq!(projects.map(|id| project_key(&mut link, id)).as_slice(), new);
    assert_eq!(link.ask(&keeper::Request::CaCertificate).unwrap().link(), certificate.link());
    let known = link.ask(&keeper::Request::VerifyToken { token: token.as_bytes() }).unwrap();
    assert!(matches!(known.link(), keeper::Response::Token(Some(identity)) if identity.role == "viewer"));
    let known = link.ask(&keeper::Request::VerifyProxyUser { user: "ann", password: password.as_bytes() }).unwrap();
    assert_eq!(known.link(), keeper::Response::Verified(true));
    running.stop();
    let names: Vec<String> = scratch.snapshot().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["audit.log", "file.key", "keyslots.a", "keyslots.b", "secrets.db"], "nothing is left");

    // By computing, and by a real keeper: old keys and new files, in every mixture.
    let (old_keys, new_keys) = (Keys::read(&before.keeper()), Keys::read(&scratch.keeper()));
    assert_eq!((&old_keys.instance, &old_keys.ca_scalar), (&new_keys.instance, &new_keys.ca_scalar));
    assert!(old_keys.master != new_keys.master && old_keys.file != new_keys.file && old_keys.pages != new_keys.pages);
    let pages = merlon_sandbox::secret::Secret::init(|key| key.copy_from_slice(&old_keys.pages)).unwrap();
    let options = merlon_cipherdb::Options { create: false, ..Default::default() };
    assert!(merlon_cipherdb::open(&scratch.file("secrets.db"), &pages, options).is_err());

    let mixed = scratch.copy_without(&[]);
    take(&before, &mixed, "file.key");
    let mut running = Starting::new(&mixed).spawn();
    assert!(running.ready(), "the old file.key opens no new slot");
    assert_eq!(
        unlock(&running, UnlockWith::Recovery(old_recovery.as_bytes())),
        Err(AdminRefusal::WrongSecret("recovery key".into()))
    );
    assert_eq!(unlock(&running, UnlockWith::Recovery(key.as_bytes())), Ok(recovery));
    running.stop();
    let mixed = scratch.copy_without(&[]);
    for name in ["file.key", "keyslots.a", "keyslots.b"] {
        take(&before, &mixed, name);
    }
    let (code, text) = start_fails(&mixed);
    assert_eq!(code, Some(78), "{text}");
    assert!(text.contains("secrets.db"), "{text}");
}

#[test]
fn a_passphrase_slot_stays_if_its_passphrase_is_given_and_goes_otherwise() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    for passphrase in [&b"first passphrase"[..], b"second passphrase"] {
        running.administer(&Request::AddKeyslot(NewKeyslot::Passphrase(passphrase)));
    }
    let refused = || Response::Refused(AdminRefusal::WrongSecret("passphrase".into()));
    assert_eq!(running.administer(&Request::PlanRotation(b"third passphrase")).admin(), refused());
    assert_eq!(running.administer(&Request::Rotate(b"third passphrase")).admin(), refused());
    assert_eq!(plan(&running, b""), RotationPlan { waiting: 0, kept: vec![1], dropped: vec![2, 3] });
    let with_second = RotationPlan { waiting: 0, kept: vec![1, 3], dropped: vec![2] };
    assert_eq!(plan(&running, b"second passphrase"), with_second);
    assert_eq!(status(&running).slots, ["file", "passphrase", "passphrase"], "a plan changes nothing");
    rotate(&running, b"second passphrase");
    assert_eq!(status(&running).slots, ["file", "passphrase", "recovery"]);
    running.stop();
    fs::remove_file(scratch.file("file.key")).unwrap();
    let mut running = Starting::new(&scratch).spawn();
    assert!(running.ready());
    assert!(unlock(&running, UnlockWith::Passphrase(b"first passphrase")).is_err());
    assert_eq!(unlock(&running, UnlockWith::Passphrase(b"second passphrase")), Ok(3));
    running.stop();
}

#[test]
fn a_rotation_that_would_leave_only_a_recovery_key_is_refused_and_changes_nothing() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    running.administer(&Request::AddKeyslot(NewKeyslot::Passphrase(b"a passphrase")));
    running.administer(&Request::RemoveKeyslot(1));
    let keyslots = fs::read(scratch.file("keyslots.a")).unwrap();
    let refused = running.administer(&Request::Rotate(b""));
    assert_eq!(refused.admin(), Response::Refused(AdminRefusal::RotationNeedsPassphrase));
    assert_eq!(fs::read(scratch.file("keyslots.a")).unwrap(), keyslots);
    assert_eq!(
        running.administer(&Request::TestKeyslot { id: 2, secret: b"a passphrase" }).admin(),
        Response::Keyslot(2)
    );
    rotate(&running, b"a passphrase");
    assert!(!scratch.file("file.key").exists() && !scratch.file("file.key.next").exists());
}

#[test]
fn a_locked_keeper_rotates_nothing() {
    let scratch = Scratch::new();
    Running::start(&scratch).stop();
    fs::remove_file(scratch.file("file.key")).unwrap();
    let mut running = Starting::new(&scratch).spawn();
    assert!(running.ready());
    for request in [Request::Rotate(b""), Request::PlanRotation(b"")] {
        let refused = running.administer(&request);
        assert_eq!(refused.admin(), Response::Refused(AdminRefusal::Keeper(Refusal::Locked)));
    }
}

/// Files before and after a rotation of a stopped keeper.
fn before_and_after() -> (Scratch, Scratch) {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let (mut link, _) = running.link();
    create_project(&mut link, "p");
    running.stop();
    let before = scratch.copy_without(&[]);
    let running = Running::start(&scratch);
    rotate(&running, b"");
    running.stop();
    (before, scratch)
}

#[test]
fn a_start_goes_on_from_every_step_once_the_new_keys_count() {
    let (before, after) = before_and_after();
    for step in 0..=6 {
        let scratch = before.copy_without(&[]);
        for (next, name) in NEXT {
            fs::write(scratch.file(next), fs::read(after.file(name)).unwrap()).unwrap();
            fs::set_permissions(scratch.file(next), fs::metadata(after.file(name)).unwrap().permissions()).unwrap();
        }
        fs::write(scratch.file(MARKER), "").unwrap();
        // The new secrets.db comes from a run that went on, and knows its entries.
        take(&after, &scratch, "audit.log");
        // A kill may leave the old file's log.
        fs::write(scratch.file("secrets.db-wal"), [7; 5000]).unwrap();
        let steps: [&dyn Fn(); 6] = [
            &|| fs::remove_file(scratch.file("secrets.db-wal")).unwrap(),
            &|| fs::rename(scratch.file("secrets.db.next"), scratch.file("secrets.db")).unwrap(),
            &|| fs::rename(scratch.file("file.key.next"), scratch.file("file.key")).unwrap(),
            &|| take(&after, &scratch, "keyslots.a"),
            &|| take(&after, &scratch, "keyslots.b"),
            &|| fs::remove_file(scratch.file("keyslots.next")).unwrap(),
        ];
        for done in &steps[..step] {
            done();
        }
        let running = Running::start(&scratch);
        assert_eq!(status(&running).state, LockState::Unlocked, "step {step}");
        let (mut link, _) = running.link();
        assert_eq!(next_rekey(&mut link, 0).0, 1, "step {step}: the project waits for its new key");
        running.stop();
        let names = |of: &Scratch| of.keys().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(&scratch), names(&after), "step {step}");
        assert!(scratch.keys() == after.keys(), "step {step}");
    }
}

#[test]
fn a_start_rolls_back_what_never_came_to_count() {
    let (before, after) = before_and_after();
    for written in 1..=3 {
        let scratch = before.copy_without(&[]);
        for (next, name) in &NEXT[..written] {
            // Cut, as a kill leaves what is being written.
            let bytes = fs::read(after.file(name)).unwrap();
            fs::write(scratch.file(next), &bytes[..bytes.len() / 2]).unwrap();
        }
        fs::write(scratch.file("secrets.db.next-wal"), "x").unwrap();
        fs::write(scratch.file(".rotation.commit.77.0.new"), "x").unwrap();
        fs::write(scratch.file(".keyslots.next.77.0.new"), "x").unwrap();
        let running = Running::start(&scratch);
        let (mut link, _) = running.link();
        assert_eq!(next_rekey(&mut link, 0), (0, None));
        let text = running.stop().1;
        assert!(text.contains("the old keys stand"), "{text}");
        assert!(scratch.keys() == before.keys(), "{written} files");
    }
}

#[test]
fn kills_at_random_moments_leave_the_old_keys_or_the_new_ones() {
    const KILLS: u32 = 60;
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let (mut link, _) = running.link();
    let id = create_project(&mut link, "p");
    let begun = Instant::now();
    rotate(&running, b"");
    // Where kills come as often before the new keys count as after; it is found again as machine and load will have it.
    let mut middle = begun.elapsed();
    let (_, work) = next_rekey(&mut link, 0);
    let mut key = work.unwrap().2;
    assert!(rekeyed(&mut link, id));
    running.stop();
    let (mut old, mut new) = (0, 0);
    let mut seed = std::process::id();
    for _ in 0..KILLS {
        let mut running = Running::start(&scratch);
        let mut admin = running.admin();
        let asking = std::thread::spawn(move || admin.ask(&Request::Rotate(b"")).is_some());
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let moment = middle * (seed >> 16) / 32_768;
        let begun = Instant::now();
        while begun.elapsed() < moment {
            std::hint::spin_loop();
        }
        running.kill();
        let answered = asking.join().unwrap();
        let running = Running::start(&scratch);
        let (mut link, _) = running.link();
        // The file is under this key until somebody says otherwise.
        assert_eq!(project_key(&mut link, id), key);
        match next_rekey(&mut link, 0) {
            (1, Some((_, _, next))) => {
                assert!(rekeyed(&mut link, id));
                key = next;
                new += 1;
                middle = middle * 4 / 5;
            }
            (0, None) => {
                assert!(!answered, "what was answered counts");
                old += 1;
                middle = middle * 5 / 4;
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(status(&running).state, LockState::Unlocked);
        assert_eq!(status(&running).opened_by.as_deref(), Some("file"));
        running.stop();
        let names: Vec<String> = scratch.snapshot().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["audit.log", "file.key", "keyslots.a", "keyslots.b", "secrets.db"]);
    }
    println!("{KILLS} kills: the old keys stood {old} times, the new ones {new} times");
    assert!(old > 0 && new > 0, "old {old}, new {new}");
}

#[test]
fn what_is_asked_meanwhile_is_not_lost() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let (mut link, _) = running.link();
    let mut admin = running.admin();
    let rotating = std::thread::spawn(move || {
        for _ in 0..8 {
            // Refused as long as projects wait.
            admin.ask(&Request::Rotate(b"")).unwrap();
        }
    });
    let mut ids = Vec::new();
    for number in 0..40 {
        ids.push(create_project(&mut link, &format!("p{number}")));
        if let (_, Some((id, ..))) = next_rekey(&mut link, 0) {
            assert!(rekeyed(&mut link, id));
        }
    }
    rotating.join().unwrap();
    running.stop();
    let running = Running::start(&scratch);
    let (mut link, _) = running.link();
    match link.ask(&keeper::Request::ListProjects).unwrap().link() {
        keeper::Response::Projects(projects) => {
            assert_eq!(projects.iter().map(|project| project.id).collect::<Vec<_>>(), ids);
        }
        other => panic!("{other:?}"),
    }
    let mode = fs::metadata(scratch.file("secrets.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn an_instance_from_before_there_was_rotation_is_opened_and_rotated() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let (mut link, _) = running.link();
    let id = create_project(&mut link, "p");
    let key = project_key(&mut link, id);
    running.stop();
    let pages = Keys::read(&scratch.keeper()).pages;
    let pages = merlon_sandbox::secret::Secret::init(|key| key.copy_from_slice(&pages)).unwrap();
    let db = merlon_cipherdb::open(&scratch.file("secrets.db"), &pages, merlon_cipherdb::Options::default()).unwrap();
    db.execute_batch("DROP TABLE identity_secrets; DROP TABLE identity_client; DROP TABLE identity_owner; DROP TABLE sessions; DROP TABLE session_keys; DROP TABLE signing_keys; DROP TABLE hash_keys; ALTER TABLE projects DROP COLUMN next_key; PRAGMA user_version = 2")
        .unwrap();
    drop(db);
    let running = Running::start(&scratch);
    let (mut link, _) = running.link();
    assert_eq!(project_key(&mut link, id), key);
    rotate(&running, b"");
    assert!(next_rekey(&mut link, 0).1.is_some_and(|(found, old, next)| found == id && old == key && next != key));
}

#[test]
fn a_rotation_that_cannot_be_written_changes_nothing() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let (mut link, _) = running.link();
    let id = create_project(&mut link, "p");
    let keyslots = fs::read(scratch.file("keyslots.a")).unwrap();
    // The last file before the marker cannot be made.
    fs::create_dir(scratch.file("secrets.db.next")).unwrap();
    let refused = running.administer(&Request::Rotate(b""));
    assert!(
        matches!(refused.admin(), Response::Refused(AdminRefusal::Keeper(Refusal::Storage(why))) if why.contains("secrets.db.next"))
    );
    assert_eq!(fs::read(scratch.file("keyslots.a")).unwrap(), keyslots);
    assert!(!scratch.file("file.key.next").exists() && !scratch.file("keyslots.next").exists());
    assert_eq!(status(&running).state, LockState::Unlocked);
    fs::remove_dir(scratch.file("secrets.db.next")).unwrap();
    rotate(&running, b"");
    assert_eq!(next_rekey(&mut link, 0).1.unwrap().0, id);
}

#[test]
fn a_keeper_that_cannot_tell_which_keys_count_opens_nothing_until_its_next_start() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let (_, key) = add_recovery(&running);
    let (mut link, _) = running.link();
    create_project(&mut link, "p");
    // The marker can neither be written nor removed.
    fs::create_dir(scratch.file(MARKER)).unwrap();
    let refused = running.administer(&Request::Rotate(b""));
    assert!(matches!(refused.admin(), Response::Refused(AdminRefusal::Keeper(Refusal::Storage(_)))));
    let now = status(&running);
    assert_eq!(now.state, LockState::Locked);
    assert!(now.warnings.iter().any(|warning| warning.contains("restart the instance")), "{:?}", now.warnings);
    assert_eq!(link.ask(&keeper::Request::ListProjects).unwrap().link(), keeper::Response::Refused(Refusal::Locked));
    let refused = unlock(&running, UnlockWith::Recovery(key.as_bytes())).unwrap_err();
    assert!(refused.to_string().contains("restart the instance"), "{refused}");
    running.stop();
    fs::remove_dir(scratch.file(MARKER)).unwrap();
    let running = Running::start(&scratch);
    let (mut link, _) = running.link();
    match link.ask(&keeper::Request::ListProjects).unwrap().link() {
        keeper::Response::Projects(projects) => assert_eq!(projects.len(), 1),
        other => panic!("{other:?}"),
    };
}
