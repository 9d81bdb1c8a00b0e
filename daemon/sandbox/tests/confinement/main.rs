//! Denial by trying: each case runs in a process of its own, twice if we are root (as root and as nobody).
//!
//! A sandbox cannot be left, and it has to begin before threads do, so the usual test harness will not do. This one
//! understands as much of its command line as cargo and nextest use.
#![expect(unsafe_code, reason = "the calls that are tried are raw on purpose")]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test, which clippy does not see without its harness")]

mod dialer;
mod engine;
mod keeper;
mod process;
mod seal_pkcs11;
mod seal_tpm;
mod secrets;
mod tries;

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// One case: its name, what runs in its process, and the signal that has to end it, if any.
struct Case {
    name: &'static str,
    run: fn(&Path),
    signal: Option<i32>,
}

const fn case(name: &'static str, run: fn(&Path)) -> Case {
    Case { name, run, signal: None }
}

const fn killed(name: &'static str, run: fn(&Path), signal: i32) -> Case {
    Case { name, run, signal: Some(signal) }
}

const CASES: &[Case] = &[
    case("engine_is_denied_what_it_must_not_do", engine::denied),
    case("hub_is_denied_what_it_must_not_do", engine::denied_to_the_hub),
    case("engine_can_do_its_work", engine::allowed),
    case("engine_cannot_repoint_a_connection", engine::repointing),
    killed("engine_can_abort", engine::abort, libc::SIGABRT),
    #[cfg(target_arch = "x86_64")]
    killed("engine_is_ended_by_a_foreign_call", engine::foreign_architecture, libc::SIGSYS),
    case("keeper_is_denied_what_it_must_not_do", keeper::denied),
    case("keeper_can_do_its_work", keeper::allowed),
    case("keeper_that_links_can_connect_to_unix_only", keeper::linking),
    case("dialer_is_denied_what_it_must_not_do", dialer::denied),
    case("dialer_can_do_its_work", dialer::allowed),
    case("dialer_that_links_can_connect_to_its_link", dialer::linking),
    case("seal_pkcs11_module_is_denied_what_it_must_not_do", seal_pkcs11::denied),
    case("seal_pkcs11_module_can_be_loaded_and_work", seal_pkcs11::allowed),
    case("seal_pkcs11_module_can_reach_a_token_that_is_attached", seal_pkcs11::attached),
    case("the_environment_is_set_for_a_module", seal_pkcs11::environment),
    case("seal_with_a_tpm_is_denied_what_it_must_not_do", seal_tpm::denied),
    case("seal_with_a_tpm_can_do_its_work", seal_tpm::allowed),
    case("seal_with_an_emulator_connects_to_its_port_only", seal_tpm::emulator),
    case("a_missing_path_fails_unless_it_may_be_missing", process::missing_paths),
    case("a_sandbox_after_threads_is_refused", process::threads),
    case("hardening_holds_and_is_reported", process::hardening),
    case("named_descriptors_arrive_and_others_are_closed", process::inheritance),
    case("sockets_of_systemd_arrive", process::systemd_sockets),
    case("secrets_cannot_be_read_from_outside", secrets::unreadable),
    killed("reading_past_a_secret_ends_the_process", secrets::overread, libc::SIGSEGV),
    killed("reading_before_a_secret_ends_the_process", secrets::underread, libc::SIGSEGV),
    case("locked_secrets_are_wiped_on_drop", secrets::wiped),
    case("a_child_finds_locked_secrets_wiped", secrets::forked_locked),
    case("a_child_has_no_memfd_secrets", secrets::forked_memfd),
    case("too_little_lockable_memory_is_an_error_with_advice", secrets::limit),
];

const CASE: &str = "MERLON_TEST_CASE";
const DIR: &str = "MERLON_TEST_DIR";
const USER: &str = "MERLON_TEST_USER";
const NOBODY: u32 = 65_534;

fn main() -> ExitCode {
    if let Ok(name) = std::env::var(CASE) {
        if name == process::CHILD {
            process::child();
            return ExitCode::SUCCESS;
        }
        if std::env::var(USER).is_ok() {
            become_nobody();
        }
        let case = CASES.iter().find(|case| case.name == name).expect("a case of the list");
        (case.run)(&PathBuf::from(std::env::var_os(DIR).expect("set by the parent")));
        return ExitCode::SUCCESS;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    if has("--list") {
        if !has("--ignored") {
            CASES.iter().for_each(|case| println!("{}: test", case.name));
        }
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let fits = |case: &&Case| {
        wanted.is_empty()
            || wanted.iter().any(|name| if has("--exact") { *name == case.name } else { case.name.contains(*name) })
    };
    let failed = CASES.iter().filter(fits).filter(|case| !passes(case)).count();
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn passes(case: &Case) -> bool {
    let root = nix::unistd::geteuid().is_root();
    let as_nobody: &[bool] = if root { &[false, true] } else { &[false] };
    as_nobody.iter().all(|nobody| run(case, *nobody))
}

fn run(case: &Case, nobody: bool) -> bool {
    let who = if nobody { "nobody" } else { "self" };
    let dir = std::env::temp_dir().join(format!("merlon-{}-{who}-{}", case.name, std::process::id()));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir(&dir).expect("a scratch directory");
    let mut command = Command::new(std::env::current_exe().expect("our own path"));
    command.env(CASE, case.name).env(DIR, &dir);
    if nobody {
        chown(&dir, Some(NOBODY), Some(NOBODY)).expect("root can give a directory away");
        command.env(USER, "nobody");
    }
    let output = command.output().expect("our own program can be started");
    fs::remove_dir_all(&dir).expect("the scratch directory can be removed");
    let good = match case.signal {
        None => output.status.success(),
        signal => output.status.signal() == signal,
    };
    println!("{} ({who}): {}", case.name, if good { "ok" } else { "FAILED" });
    if !good {
        println!(
            "{}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    good
}

fn become_nobody() {
    nix::unistd::setgroups(&[]).expect("root");
    nix::unistd::setgid(NOBODY.into()).expect("root");
    nix::unistd::setuid(NOBODY.into()).expect("root");
    // As for a program that nobody started itself: a change of user clears it.
    nix::sys::prctl::set_dumpable(true).expect("nothing forbids it yet");
}
