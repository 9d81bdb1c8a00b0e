//! What goes wrong around the TPM.

use std::fs;
use std::os::fd::AsFd as _;
use std::os::unix::process::ExitStatusExt as _;

use merlon_sandbox::seqpacket;
use merlon_wire::decode;
use merlon_wire::seal::{Failure, Request, Response};

use crate::ask::{Keeper, SECRET, Started, plain, receive, send, start, value};
use crate::swtpm::Swtpm;

fn handles(tpm: &Swtpm, kind: &str) -> String {
    String::from_utf8(tpm.tool("tpm2_getcap", &[kind]).stdout).unwrap()
}

#[test]
fn a_tpm_that_hangs_costs_the_process_and_works_afterwards() {
    let tpm = Swtpm::new();
    let keeper = Keeper::with(&tpm, &format!("{}[keeper]\nseal_seconds = 5\n", tpm.config()));
    let (object, _) = keeper.seal(value(None)).unwrap();
    tpm.hang();
    let started = Started::new(&keeper.config);
    started.send(&Request::Unseal(plain(&object)));
    assert!(started.receive().is_empty(), "a hang-up, no answer");
    let (status, _) = started.end();
    assert_eq!(status.signal(), Some(libc::SIGALRM), "{status}");
    tpm.go_on();
    assert_eq!(keeper.open(&object), Ok(SECRET));
}

#[test]
fn a_run_that_was_killed_leaves_nothing_that_matters() {
    let tpm = Swtpm::new();
    let keeper = Keeper::of(&tpm);
    let (object, _) = keeper.seal(value(None)).unwrap();
    // What a killed run leaves where no resource manager is: objects and sessions, until none can be made any more.
    for number in 0..3 {
        let (object, session) = (format!("{number}.ctx"), format!("{number}.session"));
        tpm.tool("tpm2_createprimary", &["-C", "o", "-G", "ecc", "-c", &object]);
        tpm.tool("tpm2_startauthsession", &["-S", &session]);
    }
    for number in 0..3 {
        let kind = if number == 1 { vec!["--policy-session"] } else { vec![] };
        let session = format!("loaded-{number}.session");
        tpm.tool("tpm2_startauthsession", &[&kind[..], &["-S", &session]].concat());
    }
    assert_eq!(keeper.open(&object), Ok(SECRET));
    assert_eq!(handles(&tpm, "handles-transient"), "");
    assert_eq!(handles(&tpm, "handles-loaded-session"), "");
}

#[test]
fn nothing_stays_in_the_tpm_after_success_or_failure() {
    let tpm = Swtpm::new();
    let keeper = Keeper::of(&tpm);
    tpm.extend(7);
    let (object, _) = keeper.seal(value(None)).unwrap();
    tpm.extend(7);
    keeper.open(&object).unwrap_err();
    assert_eq!(handles(&tpm, "handles-transient"), "");
    assert_eq!(handles(&tpm, "handles-loaded-session"), "");
}

#[test]
fn no_device_is_told_with_its_path() {
    let mut tpm = Swtpm::new();
    let keeper = Keeper::of(&tpm);
    let (object, _) = keeper.seal(value(None)).unwrap();
    tpm.power_off();
    let refused = keeper.open(&object).unwrap_err();
    assert!(matches!(&refused, Failure::NoDevice { device, .. } if *device == tpm.address().to_string()), "{refused}");
    let keeper = Keeper::with(&tpm, "[tpm]\ntcti = \"device:/dev/tpmrm99\"\n");
    let refused = keeper.open(&object).unwrap_err();
    assert!(refused.to_string().contains("no TPM at /dev/tpmrm99 (No such file or directory"), "{refused}");
}

#[test]
fn an_emulator_needs_the_switch_and_a_strange_tcti_is_refused() {
    let tpm = Swtpm::new();
    for (text, word) in [
        (format!("[tpm]\ntcti = \"{}\"\n", tpm.tcti()), "tpm.allow_emulator = true"),
        ("[tpm]\ntcti = \"swtpm:path=/tmp/sock\"\nallow_emulator = true\n".to_owned(), "names no TPM"),
        ("[tpm]\ntcti = \"device:/dev/tpm0\"\n".to_owned(), "names no TPM"),
        ("[tpm]\ntcti = \"mssim\"\nallow_emulator = true\n".to_owned(), "names no TPM"),
    ] {
        let keeper = Keeper::with(&tpm, &text);
        let (status, stderr) = Started::new(&keeper.config).end();
        assert_eq!(status.code(), Some(78), "{stderr}");
        assert!(stderr.contains(word), "{stderr}");
    }
}

#[test]
fn a_request_that_is_none_is_answered_and_a_keeper_that_leaves_is_no_error() {
    let tpm = Swtpm::new();
    let keeper = Keeper::of(&tpm);
    let started = Started::new(&keeper.config);
    seqpacket::send(&started.socket, b"\xff\xff\xff", None).unwrap();
    let frame = started.receive();
    assert!(matches!(decode(&frame), Ok(Response::Failed(Failure::Request(_)))));
    assert!(started.end().0.success());
    let Started { socket, child } = Started::new(&keeper.config);
    drop(socket);
    assert!(child.wait_with_output().unwrap().status.success());
    fs::write(&keeper.config, "[tpm]\nunknown = 1\n").unwrap();
    let (status, stderr) = Started::new(&keeper.config).end();
    assert_eq!(status.code(), Some(78), "{stderr}");
}

#[test]
fn a_listening_socket_serves_one_connection_and_the_process_ends() {
    let tpm = Swtpm::new();
    let keeper = Keeper::of(&tpm);
    let path = tpm.dir().join("seal.sock");
    let listener = seqpacket::listen(&path, 0o600).unwrap();
    let mut child = start(&keeper.config, listener.as_fd());
    let connection = seqpacket::connect(&path).unwrap();
    send(&connection, &Request::Describe { pcrs: vec![0, 7] });
    let frame = receive(&connection);
    let Ok(Response::Report(report)) = decode(&frame) else { panic!("{frame:?}") };
    assert_eq!(report.tcti, tpm.tcti());
    assert!(!report.resource_manager && report.maker.starts_with("IBM"), "{report:?}");
    assert_eq!(report.pcrs.iter().map(|pcr| pcr.index).collect::<Vec<_>>(), [0, 7]);
    assert!(child.wait().unwrap().success());
}
