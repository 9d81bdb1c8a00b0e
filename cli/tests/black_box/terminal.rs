//! Questions at a terminal: a pseudo-terminal on which the test types.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Stdio};

use merlon_wire::admin::{NewKeyslot, Request, Response, UnlockWith};
use merlon_wire::keeper::{LockState, Status};
use nix::pty::openpty;

use crate::fake::Instance;

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
