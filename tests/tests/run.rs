//! What `make run` starts: the words it prints are true, and Ctrl-C ends it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use merlon_tests::TempDir;
use merlon_tests::instance::wait_for;
use merlon_tests::origin::{Origin, echo};
use merlon_tests::pki::{Ca, Validity};
use merlon_tests::process::{output, program, signal, stderr, stdout};

/// Starts the script, pastes the two lines that it prints, ends it as Ctrl-C does; returns the fingerprint it printed.
fn run_and_paste(dir: &TempDir, url: &str) -> String {
    let bin = program("merlond").parent().unwrap().to_owned();
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let mut child = Command::new(format!("{root}/scripts/run"))
        .arg(dir.path().join("instance"))
        .env("MERLON_BIN", &bin)
        .envs([("PROXY_PORT", "0"), ("API_PORT", "0"), ("TRY_URL", url)])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut printed = String::new();
    while !printed.contains("Ctrl-C") {
        assert_ne!(lines.read_line(&mut printed).unwrap(), 0, "{printed}");
    }
    let line = |start: &str| printed.lines().map(str::trim).find(|line| line.starts_with(start)).unwrap().to_owned();
    let paste = |line: &str| output(Command::new("sh").current_dir(root).args(["-c", line]));
    let curl = paste(&line("curl ").replace("curl ", "curl --silent --show-error --noproxy '' "));
    assert!(stdout(&curl).starts_with("GET /pasted"), "{}{printed}", stderr(&curl));
    let flows = line(&bin.display().to_string());
    wait_for("the flow to be shown", || stdout(&paste(&flows)).contains("/pasted").then_some(()));
    for part in ["Proxy           127.0.0.1:", "API             https://127.0.0.1:"] {
        assert!(printed.contains(part), "{printed}");
    }
    signal(child.id(), Signal::SIGINT);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    // Nothing that it started still holds its standard output.
    lines.read_to_string(&mut String::new()).unwrap();
    line("CA fingerprint")
}

#[test]
fn the_lines_that_make_run_prints_work_when_pasted_and_a_second_run_uses_the_instance_again() {
    let dir = TempDir::new("run");
    let ca = Ca::new();
    let roots = dir.path().join("roots.pem");
    ca.write(&roots);
    let instance = dir.path().join("instance");
    std::fs::create_dir(&instance).unwrap();
    std::fs::set_permissions(&instance, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let config = format!("[proxy]\nupstream_ca = ['{}']\n", roots.display());
    std::fs::write(instance.join("merlon.toml"), config).unwrap();
    let origin = Origin::https(ca.leaf(&["localhost"], Validity::Now), echo);
    let url = format!("https://localhost:{}/pasted", origin.port());
    let first = run_and_paste(&dir, &url);
    assert_eq!(run_and_paste(&dir, &url), first);
}
