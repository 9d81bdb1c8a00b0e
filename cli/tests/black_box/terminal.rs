//! Questions at a terminal: a pseudo-terminal on which the test types.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Stdio};

use merlon_wire::admin::{Keyslot, NewKeyslot, Request, Response, UnlockWith};
use merlon_wire::keeper::{LockState, Status};
use nix::pty::openpty;

use crate::fake::Instance;
use crate::keeper::slot;

/// The program with a terminal for its input and its talk.
struct Terminal {
    child: Child,
    typist: File,
    seen: String,
}

impl Terminal {
    fn start(instance: &Instance, arguments: &[&str]) -> Self {
        let pty = openpty(None, None).unwrap();
        let other = pty.slave.try_clone().unwrap();
        let child = instance
            .command()
            .args(arguments)
            .stdin(Stdio::from(pty.slave))
            .stderr(Stdio::from(other))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self { child, typist: File::from(pty.master), seen: String::new() }
    }

    /// Reads until the text stands there, then types.
    fn on(&mut self, prompt: &str, typed: &str) {
        while !self.seen.contains(prompt) {
            let mut piece = [0; 256];
            let len = self.typist.read(&mut piece).unwrap();
            self.seen.push_str(std::str::from_utf8(&piece[..len]).unwrap());
        }
        self.seen = self.seen.split_once(prompt).unwrap().1.to_owned();
        self.typist.write_all(typed.as_bytes()).unwrap();
    }

    /// Exit code, standard output, and what stood on the terminal after the last prompt.
    fn end(mut self) -> (Option<i32>, String, String) {
        let mut rest = Vec::new();
        // The last holder of the other end is gone: an input/output error says so.
        let _ = self.typist.read_to_end(&mut rest);
        let done = self.child.wait_with_output().unwrap();
        self.seen.push_str(&String::from_utf8(rest).unwrap());
        (done.status.code(), String::from_utf8(done.stdout).unwrap(), self.seen)
    }
}

fn locked() -> Instance {
    Instance::keeper(|request| match request {
        Request::Status => Response::Status(Status {
            state: LockState::Locked,
            opened_by: None,
            slots: vec!["passphrase".into()],
            recovery_confirmed: false,
            secret_memory: "locked".into(),
            warnings: Vec::new(),
            last_project: None,
            instance: String::new(),
        }),
        Request::ListKeyslots => Response::Keyslots(vec![slot(3, "passphrase"), slot(6, "recovery")]),
        Request::Unlock(UnlockWith::Passphrase(b"correct horse")) => Response::Keyslot(3),
        Request::AddKeyslot(NewKeyslot::Recovery) => Response::RecoveryKey { id: 6, key: "aaaa-bbbb" },
        Request::ConfirmRecovery(b"aaaa-bbbb") => Response::Keyslot(6),
        Request::ConfirmRecovery(_) => Response::Refused(merlon_wire::admin::AdminRefusal::RecoveryTypo),
        other => panic!("{other:?}"),
    })
}

#[test]
fn a_passphrase_is_typed_unseen() {
    let instance = locked();
    let mut terminal = Terminal::start(&instance, &["unlock"]);
    terminal.on("Passphrase: ", "correct horse\n");
    let (code, _, seen) = terminal.end();
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.contains("unlocked by keyslot 3") && !seen.contains("horse"), "{seen}");
}

#[test]
fn ctrl_c_at_a_prompt_is_130() {
    let instance = locked();
    let mut terminal = Terminal::start(&instance, &["unlock"]);
    terminal.on("Passphrase: ", "half a pass\u{3}");
    assert_eq!(terminal.end().0, Some(130));
}

#[test]
fn a_recovery_key_is_typed_back_and_may_be_mistyped() {
    let instance = locked();
    let mut terminal = Terminal::start(&instance, &["keyslot", "add", "recovery"]);
    terminal.on("Type the recovery key back: ", "aaaa-bbbc\n");
    terminal.on("Type the recovery key back: ", "aaaa-bbbb\n");
    let (code, out, seen) = terminal.end();
    assert_eq!((code, out.as_str()), (Some(0), "aaaa-bbbb\n"), "{seen}");
    assert!(seen.contains("keyslot 6: confirmed"), "{seen}");
}

/// A locked instance whose slot 4 is sealed to the TPM with a PIN.
fn with_a_pin() -> Instance {
    Instance::keeper(|request| match request {
        Request::Status => crate::keeper::status(LockState::Locked, &["tpm2", "passphrase"]),
        Request::ListKeyslots => Response::Keyslots(vec![
            Keyslot { pin: true, ..slot(4, "tpm2") },
            slot(3, "passphrase"),
            slot(6, "recovery"),
        ]),
        Request::Unlock(UnlockWith::Pin { pin: b"2468", force: false }) => Response::Keyslot(4),
        Request::Unlock(UnlockWith::Passphrase(b"correct horse")) => Response::Keyslot(3),
        Request::Unlock(UnlockWith::Recovery(b"aaaa")) => Response::Keyslot(6),
        Request::TestKeyslot { id: 4, secret: b"2468" } => Response::Keyslot(4),
        Request::AddKeyslot(NewKeyslot::Tpm2 { pcrs: None, pin: b"2468", policy_key: b"" }) => Response::Keyslot(7),
        Request::AddKeyslot(NewKeyslot::Pkcs11 { uri: "pkcs11:token=t;id=%01", pin: Some(b"2468") }) => {
            Response::Keyslot(8)
        }
        other => panic!("{other:?}"),
    })
}

#[test]
fn where_a_slot_has_a_pin_it_is_asked_for_and_what_else_there_is_on_demand() {
    let instance = with_a_pin();
    for (flags, prompt, typed, says) in [
        (&[][..], "PIN: ", "2468\n", "unlocked by keyslot 4"),
        (&["--pin"], "PIN: ", "2468\n", "unlocked by keyslot 4"),
        (&["--passphrase"], "Passphrase: ", "correct horse\n", "unlocked by keyslot 3"),
        (&["--recovery"], "Recovery key: ", "aaaa\n", "unlocked by keyslot 6"),
    ] {
        let mut terminal = Terminal::start(&instance, &[&["unlock"][..], flags].concat());
        terminal.on(prompt, typed);
        let (code, _, seen) = terminal.end();
        assert_eq!(code, Some(0), "{flags:?}: {seen}");
        assert!(seen.contains(says) && !seen.contains("2468") && !seen.contains("horse"), "{flags:?}: {seen}");
    }
}

#[test]
fn a_pin_is_asked_for_by_test_and_add() {
    let instance = with_a_pin();
    let mut terminal = Terminal::start(&instance, &["keyslot", "test", "4"]);
    terminal.on("PIN: ", "2468\n");
    let (code, _, seen) = terminal.end();
    assert!(code == Some(0) && seen.contains("keyslot 4: opens"), "{seen}");

    let mut terminal = Terminal::start(&instance, &["keyslot", "add", "tpm2", "--pin"]);
    terminal.on("New PIN: ", "2468\n");
    terminal.on("The same again: ", "2468\n");
    let (code, _, seen) = terminal.end();
    assert!(code == Some(0) && seen.contains("keyslot 7: added"), "{seen}");

    let mut terminal = Terminal::start(&instance, &["keyslot", "add", "tpm2", "--pin"]);
    terminal.on("New PIN: ", "2468\n");
    terminal.on("The same again: ", "2469\n");
    let (code, _, seen) = terminal.end();
    assert!(code == Some(1) && seen.contains("the two PINs differ"), "{seen}");

    let uri = "pkcs11:token=t;id=%01";
    let mut terminal = Terminal::start(&instance, &["keyslot", "add", "pkcs11", "--uri", uri, "--pin"]);
    terminal.on("PIN of the token: ", "2468\n");
    let (code, _, seen) = terminal.end();
    assert!(code == Some(0) && seen.contains("keyslot 8: added"), "{seen}");
}

#[test]
fn a_claim_code_is_typed_and_may_be_mistyped() {
    use crate::fake::{json as ok, problem};
    use crate::remote::{created, identity, started, tokens};

    let begun = std::sync::atomic::AtomicUsize::new(0);
    let instance = Instance::api(move |asked| match asked.target.as_str() {
        "/api/v1/identity" => ok(&identity("unclaimed", "https://hub.example", false)),
        "/api/v1/sign-ins" if begun.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 => {
            problem(merlon_api::ProblemCode::ClaimCodeWrong)
        }
        "/api/v1/sign-ins" => created(&started()),
        "/api/v1/sign-ins/sig_1/poll" => ok(&tokens(1, "Bearer", 600)),
        "/api/v1/sign-out" => ok(&serde_json::json!({ "revoked_at_issuer": true, "problem": null })),
        other => panic!("{other}"),
    });
    let mut terminal = Terminal::start(&instance, &["login"]);
    terminal.on("Claim code: ", "AAAA-BBBB\n");
    terminal.on("Claim code: ", "AAAA-CCCC\n");
    let (code, _, seen) = terminal.end();
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.contains("WDJB-MJHT") && seen.contains("signed in as alice"), "{seen}");
    assert!(!seen.contains("press Enter"), "there is no screen: {seen}");
}

#[test]
fn ctrl_c_while_waiting_for_the_approval_is_130() {
    use crate::fake::json as ok;
    use crate::remote::{created, identity, pending, started};

    let instance = Instance::api(move |asked| match asked.target.as_str() {
        "/api/v1/identity" => ok(&identity("claimed", "https://hub.example", false)),
        "/api/v1/sign-ins" => created(&started()),
        _ => pending(1),
    });
    let mut terminal = Terminal::start(&instance, &["login"]);
    terminal.on("Approve it only where the page names this instance.", "");
    let pid = nix::unistd::Pid::from_raw(i32::try_from(terminal.child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    assert_eq!(terminal.end().0, Some(130));
}
